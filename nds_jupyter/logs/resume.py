"""Positions in a followed log, and resuming it where the engine closed it early.

An engine gives messages whole, and in the order in which they were written. So what is missing is
always what comes after some place.

Docker may close a followed log before it has given all of it. Version 20.10 left out a last line
without a line end for 18 of 24 containers; of 24 that wrote 30,000 short lines and a long one at
once, on a busy machine, it closed two logs after 16,729 and 27,705 lines. So the end is read once
more, and what is missing given on.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from nds_jupyter.engines.base import Engine, LogChunk, LogRequest, LogStream
from nds_jupyter.errors import NdsError
from nds_jupyter.logs.lines import message_time, messages

MAX_DISORDER = timedelta(seconds=1)
"""How much earlier a message may be than one that was written before it, on the other stream: the
engine reads each stream in a thread of its own, takes the time first, and writes then."""

SHORT_LOG = 2**20
"""Bytes of a log without times that is read again as a whole: its end may look like its middle."""

TAIL_SIZE = 2**17
"""Bytes of each stream's end that are kept for comparing."""


class DuplicateFilter(Protocol):
    """Passes over what was given."""

    def of(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""


class LogPosition(Protocol):
    """How far a log was given."""

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""

    @property
    def is_known_by_the_end(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""

    def is_past(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""

    def again(self, request: LogRequest) -> tuple[LogRequest, DuplicateFilter]:
        """Return what to ask for in order to go on, and what passes over what was given."""


def start_position(request: LogRequest) -> LogPosition:
    """Return the place where nothing was given yet."""
    return TimePosition() if request.timestamps else BytePosition()


class TimePosition:
    """The time of the last message of each stream.

    The pieces of a long line all have the same time, so it is counted how many were given.
    """

    def __init__(self) -> None:
        self._first = b""
        self._last: dict[LogStream, tuple[bytes, int]] = {}
        self._open: set[LogStream] = set()

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""
        last, count = self._last.get(chunk.stream, (b"", 0))
        # Only the last line matters; every chunk begins with a message.
        for time, _ in _times(chunk.data, chunk.data.rfind(b"\n", 0, -1) + 1):
            count = count + 1 if time == last else 1
            last = time
        self._first = self._first or next(_times(chunk.data), (b"", 0))[0]
        self._last[chunk.stream] = last, count
        (self._open.discard if chunk.data.endswith(b"\n") else self._open.add)(chunk.stream)

    @property
    def is_known_by_the_end(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""
        # More pieces of a line that is open would have the time of those that were given.
        return not self._open

    def is_past(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""
        there = TimePosition()
        for chunk in end:
            there.add(chunk)
        return bool(there._last) and all(
            time <= self._last.get(stream, (b"", 0))[0] for stream, (time, _) in there._last.items()
        )

    def again(self, request: LogRequest) -> tuple[LogRequest, DuplicateFilter]:
        """Return what to ask for in order to go on, and what passes over what was given."""
        if not self._last:
            return request, TimeDuplicateFilter(b"", {})
        latest = max(time for time, _ in self._last.values())
        since = _moment(latest) - MAX_DISORDER
        if request.since is not None:
            since = max(since, request.since)
        asked = msgspec.structs.replace(request, tail=None, since=since)
        # Of a stream of which nothing came, nothing was wanted from before that.
        return asked, TimeDuplicateFilter(self._first, dict(self._last))


class TimeDuplicateFilter:
    """Passes over messages up to a time of each stream.

    Parameters
    ----------
    first
        The time of the first message that was given of any stream.
    given
        The time of the last one of each, and how many had it.
    """

    def __init__(self, first: bytes, given: dict[LogStream, tuple[bytes, int]]) -> None:
        self._first = first
        self._given = given
        self._joined: set[LogStream] = set()

    def of(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""
        if chunk.stream in self._joined:
            return chunk
        last, count = self._given.get(chunk.stream, (self._first, 0))
        for time, start in _times(chunk.data):
            if time > last or (time == last and count == 0):
                self._joined.add(chunk.stream)
                return msgspec.structs.replace(chunk, data=chunk.data[start:])
            count -= time == last
        self._given[chunk.stream] = last, count
        return None


class BytePosition:
    """How many bytes of each stream were given, for a log that begins at the same place again."""

    def __init__(self) -> None:
        self._count: dict[LogStream, int] = {}
        self._ends: dict[LogStream, StreamTail] = {}

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""
        self._count[chunk.stream] = self._count.get(chunk.stream, 0) + len(chunk.data)
        self._ends.setdefault(chunk.stream, StreamTail()).add(chunk.data)

    @property
    def is_known_by_the_end(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""
        return sum(self._count.values()) > SHORT_LOG

    def is_past(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""
        there: dict[LogStream, bytes] = {}
        for chunk in end:
            there[chunk.stream] = there.get(chunk.stream, b"") + chunk.data
        return bool(there) and all(
            stream in self._ends and self._ends[stream].text().endswith(text)
            for stream, text in there.items()
        )

    def again(self, request: LogRequest) -> tuple[LogRequest, DuplicateFilter]:
        """Return what to ask for in order to go on, and what passes over what was given."""
        return request, ByteDuplicateFilter(dict(self._count))


class ByteDuplicateFilter:
    """Passes over so many bytes of each stream."""

    def __init__(self, given: dict[LogStream, int]) -> None:
        self._given = given

    def of(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""
        known = self._given.get(chunk.stream, 0)
        self._given[chunk.stream] = max(0, known - len(chunk.data))
        rest = chunk.data[known:]
        return msgspec.structs.replace(chunk, data=rest) if rest else None


class StreamTail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        """Keep what came next, and let go of what is too far from the end."""
        self._parts.append(data)
        self._size += len(data)
        while self._size - len(self._parts[0]) >= TAIL_SIZE:
            self._size -= len(self._parts.popleft())

    def text(self) -> bytes:
        """Return what is kept."""
        return b"".join(self._parts)


def _times(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Give the time of each message from a position on, and where it begins."""
    return ((data[begin : text - 1], begin) for begin, text, *_ in messages(data, start))


def _moment(time: bytes) -> datetime:
    return message_time(time.decode("ascii"))


LAST_MESSAGES = 4
"""Messages that are read again in order to see whether all was given."""

TIME_RESOLUTION = timedelta(microseconds=1)
"""What an engine is told times by."""


async def read_whole_log(
    engine: Engine, container_id: str, request: LogRequest
) -> AsyncGenerator[LogChunk, None]:
    """Read a log; one that is followed to the container's end is given whole."""
    if request.follow:
        request = await _pin_start(engine, container_id, request)
    place = start_position(request)
    async with contextlib.aclosing(engine.logs(container_id, request)) as chunks:
        async for chunk in chunks:
            if request.follow:
                place.add(chunk)
            yield chunk
    if not request.follow:
        return
    with contextlib.suppress(NdsError):
        async with contextlib.aclosing(
            _read_missing_end(engine, container_id, request, place)
        ) as chunks:
            async for chunk in chunks:
                yield chunk


async def _read_missing_end(
    engine: Engine, container_id: str, request: LogRequest, place: LogPosition
) -> AsyncGenerator[LogChunk, None]:
    """Read what comes after a place in the log of a container that has ended."""
    ended = msgspec.structs.replace(request, follow=False)
    if place.is_known_by_the_end:
        last = msgspec.structs.replace(ended, tail=LAST_MESSAGES)
        async with contextlib.aclosing(engine.logs(container_id, last)) as chunks:
            if place.is_past([chunk async for chunk in chunks]):
                return
    asked, rest = place.again(ended)
    async with contextlib.aclosing(engine.logs(container_id, asked)) as chunks:
        async for chunk in chunks:
            if (new := rest.of(chunk)) is not None:
                yield new


async def _pin_start(engine: Engine, container_id: str, request: LogRequest) -> LogRequest:
    """Return a request that begins at the same place whenever it is made.

    Messages with times are told apart by them, as long as there is one. An engine counts the last
    messages over both streams, whichever is wanted of them.
    """
    if request.tail is None or (request.timestamps and request.tail > 0):
        return request
    looked_at = msgspec.structs.replace(
        request,
        follow=False,
        timestamps=True,
        tail=max(1, request.tail),
        stream=LogStream.BOTH,
    )
    async with contextlib.aclosing(engine.logs(container_id, looked_at)) as chunks:
        async for chunk in chunks:
            for time, _ in _times(chunk.data):
                since = _moment(time) + (TIME_RESOLUTION if request.tail == 0 else timedelta(0))
                return msgspec.structs.replace(request, tail=None, since=since)
    return msgspec.structs.replace(request, tail=None)
