"""What an open page waits for: a line from its print to the page, and a long log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from benchmarks.bench import Bench, alternate, delete, finished_job
from benchmarks.report import Figure, median
from dev.images import PYTHON_IMAGE

LINES = 100
TELL_TIME = f"""
import time
time.sleep(2)
for _ in range({LINES}):
    print(time.time())
    time.sleep(0.05)
"""


async def lines(bench: Bench, job_id: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Follow a log over `/events`, as a page does, to its end."""
    url = f"{bench.server.url.replace('http', 'ws', 1)}nds/events"
    headers = {"Authorization": f"token {bench.server.token}"}
    socket = await websocket_connect(HTTPRequest(url, headers=headers), max_message_size=2**26)
    await socket.write_message(json.dumps({"follow": [{"job_id": job_id, "log_tail": 10_000}]}))
    while (message := await socket.read_message()) is not None:
        told = json.loads(message)
        if told["type"] == "log":
            yield told["lines"]
            if told["end"]:
                break
    socket.close()


def line_to_page(bench: Bench) -> Iterator[Figure]:
    """Milliseconds from a line's print to the page, and to whoever reads the engine itself."""
    script = {"script": TELL_TIME, "scriptname": "tell.py", "image_name": PYTHON_IMAGE}
    with bench.http() as http:
        answer = http.post("nds/upload", json=script)
        job_id = answer.raise_for_status().json()["job_id"]
        while not (job := http.get("nds/upload", params={"job_id": job_id}).json())["started"]:
            time.sleep(0.1)
        page, raw = asyncio.run(_both(bench, job_id, job["container_id"]))
        delete(http, job_id)
    yield Figure(
        what="a line from its print to the page",
        rival="the engine's followed log, by the SDK",
        ours=median(page),
        theirs=median(raw),
        unit="ms",
        at_most=100.0,
        difference=True,
    )


async def _both(bench: Bench, job_id: str, container: str) -> tuple[list[float], list[float]]:
    def from_engine() -> list[float]:
        stream = bench.engine().logs(container, stream=True, follow=True)
        return [(time.time() - float(line)) * 1000 for line in stream]

    raw = asyncio.create_task(asyncio.to_thread(from_engine))
    page = [
        (time.time() - float(line["text"])) * 1000
        async for some in lines(bench, job_id)
        for line in some
    ]
    return page, await raw


def long_log(bench: Bench) -> Iterator[Figure]:
    """Seconds for the last 10,000 lines of a long log, on the page and from the engine."""
    count = bench.scaled(100_000)
    make = f"i=0; while [ $i -lt {count} ]; do echo line $i of a log; i=$((i+1)); done"
    engine = bench.engine()
    with bench.http() as http:
        job = finished_job(http, ["sh", "-c", make])

        def ours() -> None:
            asyncio.run(_read(bench, job["job_id"]))

        def theirs() -> None:
            for _ in engine.logs(job["container_id"], stream=True, follow=False, tail=10_000):
                pass

        took = alternate(ours, theirs, bench.repeats)
        delete(http, job["job_id"])
    yield Figure(
        what=f"the last 10,000 of {count} lines on a page that opens",
        rival="the engine's log, by the SDK",
        ours=median(took[0]),
        theirs=median(took[1]),
        unit="s",
        at_most=2.0,
    )


async def _read(bench: Bench, job_id: str) -> int:
    return sum([len(some) async for some in lines(bench, job_id)])


def page(bench: Bench) -> Iterator[Figure]:
    """Measure both."""
    yield from line_to_page(bench)
    yield from long_log(bench)
