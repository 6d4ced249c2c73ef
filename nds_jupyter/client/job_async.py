"""Asynchronous waiting for jobs and reading of logs."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nds_jupyter.client.job import Job

AHEAD = 1000
"""Lines read ahead of who reads them."""

_END = object()


async def gather(*jobs: Job | Iterable[Job]) -> list[Job]:
    """Wait until all these jobs have ended, and return them in their order.

    Parameters
    ----------
    jobs
        Jobs, or one list of them.
    """
    every: list[Job] = []
    for each in jobs:
        every.extend(each if isinstance(each, Iterable) else [each])
    return list(await asyncio.gather(*(asyncio.to_thread(job.wait) for job in every)))


async def log_lines(job: Job) -> AsyncGenerator[str, None]:
    """Yield the lines of a job's log as they come, until it has ended."""
    lines: queue.Queue[object] = queue.Queue(AHEAD)
    left = threading.Event()

    def read() -> None:
        last: object = _END
        try:
            with contextlib.closing(job.lines()) as source:
                for line in source:
                    lines.put(line.text)
                    if left.is_set():
                        return
        except Exception as exc:  # noqa: BLE001 - raised again where the lines are read
            last = exc
        lines.put(last)

    threading.Thread(target=read, name=f"nds-log-{job.id}", daemon=True).start()
    try:
        while (line := await asyncio.to_thread(lines.get)) is not _END:
            if isinstance(line, Exception):
                raise line
            yield str(line)
    finally:
        left.set()
        with contextlib.suppress(queue.Empty):
            while True:
                lines.get_nowait()
