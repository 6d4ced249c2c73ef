"""Followed log of a job, resumed when the connection drops, also in asynchronous code."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import queue
import re
import threading
from collections import Counter, deque
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from typing import Any

import msgspec

from nds_jupyter.client.transport import RetryPolicy, Transport
from nds_jupyter.errors import ServerNotFound, TooBusy
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import LogLine

RECENT_LINES = 1000
"""Lines kept to recognize those that come again when a lost connection is resumed."""

_BELOW_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


def followed_lines(
    transport: Transport, query: Mapping[str, Any]
) -> Generator[LogLine, None, None]:
    """Yield lines until the job has ended; a lost connection is resumed at the same line.

    Parameters
    ----------
    query
        Names the job; its `tail` counts at the first attempt only.
    """
    recent: deque[LogLine] = deque(maxlen=RECENT_LINES)
    retry = RetryPolicy()
    ended = False
    while not ended:
        try:
            for line in _new_lines(transport, {**query, "follow": 1}, recent):
                retry.reset()
                recent.append(line)
                yield line
            ended = True
        except (ServerNotFound, TooBusy) as exc:
            retry.wait_or_raise(exc)


def _new_lines(
    transport: Transport, query: Mapping[str, Any], recent: deque[LogLine]
) -> Iterator[LogLine]:
    """Yield the lines of a request that are not among the recent ones."""
    resumed = dict(query)
    if recent:
        resumed.pop("tail", None)
        resumed["since"] = _BELOW_MICROSECONDS.sub(r"\1", recent[0].time)
    seen = Counter(recent)
    for line in _read_lines(transport, resumed):
        if seen[line] > 0:
            seen[line] -= 1
        else:
            yield line


def _read_lines(transport: Transport, query: Mapping[str, Any]) -> Iterator[LogLine]:
    decode = msgspec.json.Decoder(LogLine).decode
    with transport.stream(routes.STDOUT, query, "application/x-ndjson") as response:
        rest = b""
        for data in response.iter_bytes():
            *lines, rest = (rest + data).split(b"\n")
            yield from map(decode, lines)


def followed_text(transport: Transport, query: Mapping[str, Any]) -> Iterator[str]:
    """Yield a log's text as it comes, until the job has ended."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with transport.stream(routes.STDOUT, {**query, "follow": 1}, "text/plain") as response:
        for data in response.iter_bytes():
            if text := decoder.decode(data):
                yield text
    if text := decoder.decode(b"", final=True):
        yield text


READ_AHEAD = 1000
"""Lines that are buffered for asynchronous code that has not read them yet."""

_END = object()


async def async_log_texts(
    lines: Generator[LogLine, None, None], job_id: str
) -> AsyncGenerator[str, None]:
    """Yield the texts of followed lines in asynchronous code; a thread reads them ahead.

    Parameters
    ----------
    lines
        Closed by the thread that reads them.
    """
    buffer: queue.Queue[object] = queue.Queue(READ_AHEAD)
    closed = threading.Event()

    def read() -> None:
        last: object = _END
        try:
            with contextlib.closing(lines):
                for line in lines:
                    buffer.put(line.text)
                    if closed.is_set():
                        return
        except Exception as exc:  # noqa: BLE001 - raised again where the lines are read
            last = exc
        buffer.put(last)

    threading.Thread(target=read, name=f"nds-log-{job_id}", daemon=True).start()
    try:
        while (text := await asyncio.to_thread(buffer.get)) is not _END:
            if isinstance(text, Exception):
                raise text
            yield str(text)
    finally:
        closed.set()
        # The thread may wait for room.
        with contextlib.suppress(queue.Empty):
            while True:
                buffer.get_nowait()
