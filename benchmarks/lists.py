"""Long lists against the Docker command line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bench import TINY, Bench, alternate, delete, finished_job
from benchmarks.report import Figure, median
from benchmarks.streams import command_line
from dev.images import SHELL_IMAGE
from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER

AT_ONCE = 4


@contextlib.contextmanager
def containers(bench: Bench, number: int, owner: str) -> Iterator[None]:
    """Have so many containers of an owner, made over the raw API."""

    def make(indices: range) -> list[str]:
        # One client is not safe across threads.
        with contextlib.closing(bench.engine()) as engine:
            return [
                engine.create_container(
                    SHELL_IMAGE, TINY, labels={LABEL_JOB: f"{index:016x}", LABEL_OWNER: owner}
                )["Id"]
                for index in indices
            ]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        shares = [range(first, number, AT_ONCE) for first in range(AT_ONCE)]
        made = [container for share in pool.map(make, shares) for container in share]
    try:
        yield
    finally:
        with contextlib.closing(bench.engine()) as engine:
            for container in made:
                engine.remove_container(container)


def thousand_containers(bench: Bench) -> Iterator[Figure]:
    """Time of /list_container."""
    number = bench.scaled(1000)
    with bench.http() as http:
        job = finished_job(http, TINY)

        def ours() -> None:
            rows = http.get("nds/list_container", params={"limit": 1000}).json()
            if len(rows) < number:
                raise SystemExit(f"/list_container gave {len(rows)} of {number} containers.")

        with containers(bench, number - 1, job["owner"]):
            mine, theirs = alternate(
                ours, lambda: command_line(bench, "ps", "-a"), bench.repeats * 2
            )
        delete(http, job["job_id"])
    yield Figure(
        what=f"/list_container with {number} containers",
        rival="docker ps -a",
        ours=median(mine) * 1000,
        theirs=median(theirs) * 1000,
        unit="ms",
        at_most=1.5,
    )
