"""A log that is followed, given to its very end.

Docker may close a followed log before it has given a last line that has no line end: version 20.10
did so for 18 of 24 containers. So the end is read once more, and what is missing given on.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from nds_jupyter.engines.base import Engine, LogChunk, LogRequest, LogStream
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs import utc_now

LAST_MESSAGES = 4
"""Messages that are read again: an open line of each stream, and what a long one was cut into."""

KEPT = 2**17
"""Bytes of an open line that are compared."""

PROBE = 32
"""Bytes by which the place is found where the end that was read again begins."""


async def whole_log(
    engine: Engine, container_id: str, request: LogRequest
) -> AsyncGenerator[LogChunk, None]:
    """Read a log; one that is followed to the container's end is given whole."""
    began = utc_now()
    given = OpenLines()
    async with contextlib.aclosing(engine.logs(container_id, request)) as chunks:
        async for chunk in chunks:
            given.add(chunk)
            yield chunk
    if not request.follow:
        return
    # Who wants nothing of the past is not given an open line that was there before.
    since = began if request.tail == 0 else request.since
    end = msgspec.structs.replace(request, follow=False, tail=LAST_MESSAGES, since=since)
    with contextlib.suppress(NdsError):
        async with contextlib.aclosing(engine.logs(container_id, end)) as chunks:
            there = await OpenLines.of(chunks)
        for chunk in there.beyond(given):
            yield chunk


class OpenLines:
    """What came of each stream after its last line end."""

    def __init__(self) -> None:
        self._texts: dict[LogStream, bytes] = {}

    @classmethod
    async def of(cls, chunks: AsyncIterator[LogChunk]) -> OpenLines:
        """Return those at the end of a log."""
        found = cls()
        async for chunk in chunks:
            found.add(chunk)
        return found

    def add(self, chunk: LogChunk) -> None:
        """Take note of what came next."""
        at = chunk.data.rfind(b"\n")
        before = b"" if at >= 0 else self._texts.get(chunk.stream, b"")
        self._texts[chunk.stream] = (before + chunk.data[at + 1 :])[-KEPT:]

    def beyond(self, given: OpenLines) -> list[LogChunk]:
        """Return what is here and was not given."""
        rest = {
            stream: beyond(given._texts.get(stream, b""), text)
            for stream, text in self._texts.items()
        }
        return [LogChunk(stream=stream, data=data) for stream, data in rest.items() if data]


def beyond(had: bytes, text: bytes) -> bytes:
    """Return what follows in a text after as much of its beginning as ends what was had."""
    at = 0 if text.startswith(had) else had.find(text[:PROBE])
    while at >= 0 and not text.startswith(had[at:]):
        at = had.find(text[:PROBE], at + 1)
    if at < 0:
        # A beginning shorter than the probe may still be at the end.
        short = (size for size in range(min(PROBE, len(had), len(text)), 0, -1))
        return text[next((size for size in short if had.endswith(text[:size])), 0) :]
    return text[len(had) - at :]
