"""A sweep of a thousand points: how soon all of its jobs are accepted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks.bench import Bench, delete, seconds
from benchmarks.report import Figure, median
from dev.images import SHELL_IMAGE

ACCEPTED_WITHIN = 2.0
AT_ONCE = 8


def thousand_points(bench: Bench) -> Iterator[Figure]:
    """Time ``POST /upload`` of a sweep, of which one job runs meanwhile."""
    side = round(bench.scaled(1000) ** (1 / 3))
    body = {
        "script": "sleep 600",
        "scriptname": "x.sh",
        "image_name": SHELL_IMAGE,
        "sweep": {name: list(range(side)) for name in ("a", "b", "c")},
        "max_concurrent": 1,
    }
    took = []
    with bench.http() as http:
        for _ in range(bench.repeats):
            answers: list[httpx.Response] = []
            took.append(seconds(lambda: answers.append(http.post("nds/upload", json=body))))  # noqa: B023
            answers[0].raise_for_status()
            _remove(http, answers[0].json())
    yield Figure(
        what=f"POST /upload of a sweep of {side**3} points",
        rival=f"{ACCEPTED_WITHIN:g} s",
        ours=median(took),
        theirs=ACCEPTED_WITHIN,
        unit="s",
        at_most=1.0,
    )


def _remove(http: httpx.Client, jobs: list[dict[str, Any]]) -> None:
    """Remove the jobs, those that wait first, so that none of them starts."""
    first, *waiting = [str(job["job_id"]) for job in jobs]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda job_id: delete(http, job_id), waiting))
    delete(http, first)
