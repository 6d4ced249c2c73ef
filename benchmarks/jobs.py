"""Jobs against the same done by hand over the raw Engine API."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.bench import TINY, Bench, alternate, delete, log_to_the_end, seconds, submit
from benchmarks.report import Figure, median
from dev.images import SHELL_IMAGE

RAW = "raw Engine API"
AT_ONCE = 4


def raw_job(engine: Any) -> None:
    """Run one tiny job by hand: create, start, wait, logs, remove."""
    container = engine.create_container(SHELL_IMAGE, TINY)["Id"]
    engine.start(container)
    engine.wait(container)
    engine.logs(container)
    engine.remove_container(container)


def raw_run(engine: Any) -> str:
    """Create, start and wait; the container stays."""
    container: str = engine.create_container(SHELL_IMAGE, TINY)["Id"]
    engine.start(container)
    engine.wait(container)
    return container


def one_after_another(bench: Bench) -> Iterator[Figure]:
    """Time from submission to the end of a tiny job."""
    with bench.http() as http, contextlib.closing(bench.engine()) as engine:

        def ours() -> None:
            job_id = submit(http)
            log_to_the_end(http, job_id)
            delete(http, job_id)

        mine, theirs = alternate(ours, lambda: raw_job(engine), bench.repeats * 4)
        yield Figure(
            what="tiny job: submit, log, remove",
            rival=f"{RAW}: create, start, wait, logs, remove",
            ours=median(mine) * 1000,
            theirs=median(theirs) * 1000,
            unit="ms",
            at_most=1.15,
        )
        left: list[tuple[str, str]] = []

        def until_finished() -> None:
            job_id = submit(http)
            http.get("nds/upload", params={"job_id": job_id, "wait": 60}).raise_for_status()
            left.append((job_id, ""))

        mine, theirs = alternate(
            until_finished, lambda: left.append(("", raw_run(engine))), bench.repeats * 4
        )
        for job_id, container in left:
            if job_id:
                delete(http, job_id)
            else:
                engine.remove_container(container)
        yield Figure(
            what="tiny job: submit to finished",
            rival=f"{RAW}: create, start, wait",
            ours=median(mine) * 1000,
            theirs=median(theirs) * 1000,
            unit="ms",
            at_most=1.15,
        )


def many_at_once(bench: Bench) -> Iterator[Figure]:
    """Rate of 40 tiny jobs, four at a time."""
    number = bench.scaled(40)

    def ours() -> float:
        with bench.http() as http:
            began = time.perf_counter()
            jobs = [submit(http) for _ in range(number)]
            for job_id in jobs:
                log_to_the_end(http, job_id)
            took = time.perf_counter() - began
            for job_id in jobs:
                delete(http, job_id)
        return number / took

    def theirs() -> float:
        engines = [bench.engine() for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:

            def work(engine: Any) -> list[str]:
                return [raw_run(engine) for _ in range(number // AT_ONCE or 1)]

            began = time.perf_counter()
            made = list(pool.map(work, engines))
            took = time.perf_counter() - began
        done = sum(map(len, made))
        for engine, containers in zip(engines, made, strict=True):
            for container in containers:
                engine.remove_container(container)
            engine.close()
        return done / took

    pairs = [(ours(), theirs()) for _ in range(bench.repeats)]
    yield Figure(
        what=f"{number} tiny jobs, {AT_ONCE} at a time",
        rival=RAW,
        ours=median(pair[0] for pair in pairs),
        theirs=median(pair[1] for pair in pairs),
        unit="jobs/s",
        at_least=0.9,
    )


def submission(bench: Bench) -> Iterator[Figure]:
    """How long POST /upload takes, while the engine has nothing else to do and while it has."""
    with bench.http() as http:
        jobs: list[str] = []
        took = []
        for _ in range(bench.repeats * 6):
            took.append(seconds(lambda: jobs.append(submit(http))))
            log_to_the_end(http, jobs[-1])
        trivial = [seconds(lambda: http.get("api")) for _ in took]
        for job_id in jobs:
            delete(http, job_id)
    yield Figure(
        what="POST /upload, its median less that of GET /api",
        rival="a trivial Jupyter route",
        ours=median(took) * 1000,
        theirs=median(trivial) * 1000,
        unit="ms",
        at_most=20.0,
        difference=True,
    )
