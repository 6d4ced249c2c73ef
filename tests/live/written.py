"""A log that a test writes, and the jobs and readers that follow it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from nds_jupyter.engines.base import LogRequest
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.job import Job, JobSpec, Limits
from nds_jupyter.live import Subscriber
from nds_jupyter.rest.views import LogLine

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DEADLINE = 30.0
BATCH = 700
"""Lines that the log gives at a time."""


def a_job(job_id: str = "0123456789abcdef", owner: str = "ada", **fields: Any) -> Job:
    spec = JobSpec(
        scriptname="job.sh",
        script_sha256="0",
        script_shebang=False,
        image="a:b",
        limits=Limits(cpus=1, memory=2**29, pids=10),
    )
    return Job(job_id=job_id, owner=owner, spec=spec, created=NOW, **fields)


def time_of(number: int) -> str:
    """Return a time; ten of them share a microsecond, which is what an engine counts."""
    moment = NOW + timedelta(microseconds=number // 10)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}{number % 10 * 100:03d}Z"


class WrittenLog:
    """A log that a test writes; reads are counted, and can be broken off."""

    def __init__(self) -> None:
        self.requests: list[LogRequest] = []
        self.open = 0
        self.most_open = 0
        self.lines: list[LogLine] = []
        self._ended = False
        self._broken: NdsError | None = None
        self._changed = asyncio.Event()

    def write(self, *texts: str) -> None:
        for text in texts:
            time = time_of(len(self.lines))
            self.lines.append(LogLine(stream="stdout", time=time, text=text))
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    def break_off(self, error: NdsError) -> None:
        """Let whoever reads, or the next who begins to, meet an error once."""
        self._broken = error
        self._changed.set()

    async def read(self, job_id: str, request: LogRequest) -> AsyncGenerator[list[LogLine], None]:
        del job_id
        self.requests.append(request)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            position = self._first(request)
            while True:
                self._changed.clear()
                if self._broken is not None:
                    error, self._broken = self._broken, None
                    raise error
                while position < len(self.lines):
                    batch = self.lines[position : position + BATCH]
                    position += len(batch)
                    yield batch
                if self._ended:
                    return
                await self._changed.wait()
        finally:
            self.open -= 1

    def _first(self, request: LogRequest) -> int:
        if request.since is not None:
            since = request.since
            times = [datetime.fromisoformat(line.time[:26] + "Z") for line in self.lines]
            return sum(time < since for time in times)
        return 0 if request.tail is None else max(0, len(self.lines) - request.tail)


class Reader:
    """The other end of a subscriber: reads its messages when the test wants it to."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.received: list[dict[str, Any]] = []
        self._messages = subscriber.messages()

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            self.received.append(json.loads(await anext(self._messages)))
        return self.received[-1]

    async def until(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        while not reached(message := await self.next()):
            pass
        return message

    async def end(self) -> list[str]:
        """Read a followed log to its end."""
        await self.until(lambda message: message.get("end"))
        return self.texts

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == "log"]

    @property
    def texts(self) -> list[str]:
        return [line["text"] for message in self.logs for line in message["lines"]]

    async def close(self) -> None:
        async with aclosing(self._messages):
            pass
