"""Reading of a followed log to its end, resumed where the engine closed it early.

An engine sends messages whole, and in the order in which they were written. So what is missing is
always what comes after some position.

Docker may close a followed log before it has sent all of it. Version 20.10 left out a last line
without a line end for 18 of 24 containers; of 24 that wrote 30,000 short lines and a long one at
once, on a busy machine, it closed two logs after 16,729 and 27,705 lines. So the end is read once
more, and what is missing is yielded.
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
from nds_jupyter.logs.lines import iter_messages, message_time

MAX_DISORDER = timedelta(seconds=1)
"""How much earlier a message may be than one that was written before it, on the other stream: the
engine reads each stream in a thread of its own, takes the time first, and writes then."""

SHORT_LOG = 2**20
"""Bytes of a log without times that is read again as a whole: its end may look like its middle."""

TAIL_SIZE = 2**17
"""Bytes of each stream's end that are kept for comparing."""


class DuplicateFilter(Protocol):
    """Filter of chunks that were yielded before, while a log is read again."""

    def select_new(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""


class LogPosition(Protocol):
    """How far a log was read."""

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""

    @property
    def is_end_conclusive(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""

    def covers(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""

    def resume_request(self, request: LogRequest) -> tuple[LogRequest, DuplicateFilter]:
        """Return what to ask for in order to go on, and what passes over what was given."""


def start_position(request: LogRequest) -> LogPosition:
    """Return the position of a log of which nothing was read yet."""
    return TimePosition() if request.timestamps else BytePosition()


class TimePosition:
    """The time of the last message of each stream.

    The messages of one long line all have the same time, so it is counted how many were read.
    """

    def __init__(self) -> None:
        self._first = b""
        self._last: dict[LogStream, tuple[bytes, int]] = {}
        self._open: set[LogStream] = set()

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""
        last, count = self._last.get(chunk.stream, (b"", 0))
        # Only the last line matters; every chunk begins with a message.
        for time, _ in _iter_times(chunk.data, chunk.data.rfind(b"\n", 0, -1) + 1):
            count = count + 1 if time == last else 1
            last = time
        self._first = self._first or next(_iter_times(chunk.data), (b"", 0))[0]
        self._last[chunk.stream] = last, count
        (self._open.discard if chunk.data.endswith(b"\n") else self._open.add)(chunk.stream)

    @property
    def is_end_conclusive(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""
        # More messages of an unfinished line would have the time of those that were read.
        return not self._open

    def covers(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""
        last_position = TimePosition()
        for chunk in end:
            last_position.add(chunk)
        return bool(last_position._last) and all(
            time <= self._last.get(stream, (b"", 0))[0]
            for stream, (time, _) in last_position._last.items()
        )

    def resume_request(self, request: LogRequest) -> tuple[LogRequest, DuplicateFilter]:
        """Return what to ask for in order to go on, and what passes over what was given."""
        if not self._last:
            return request, TimeDuplicateFilter(b"", {})
        latest = max(time for time, _ in self._last.values())
        since = _parse_time(latest) - MAX_DISORDER
        if request.since is not None:
            since = max(since, request.since)
        new_request = msgspec.structs.replace(request, tail=None, since=since)
        # Of a stream of which nothing came, nothing was requested from before that.
        return new_request, TimeDuplicateFilter(self._first, dict(self._last))


class TimeDuplicateFilter:
    """Filter of messages up to a time of each stream.

    Parameters
    ----------
    first
        The time of the first message that was read of any stream.
    seen
        The time of the last one of each, and how many had it.
    """

    def __init__(self, first: bytes, seen: dict[LogStream, tuple[bytes, int]]) -> None:
        self._first = first
        self._seen = seen
        self._resumed_streams: set[LogStream] = set()

    def select_new(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""
        if chunk.stream in self._resumed_streams:
            return chunk
        last, count = self._seen.get(chunk.stream, (self._first, 0))
        for time, start in _iter_times(chunk.data):
            if time > last or (time == last and count == 0):
                self._resumed_streams.add(chunk.stream)
                return msgspec.structs.replace(chunk, data=chunk.data[start:])
            count -= time == last
        self._seen[chunk.stream] = last, count
        return None


class BytePosition:
    """The number of bytes of each stream, for a log that begins at the same position again."""

    def __init__(self) -> None:
        self._count: dict[LogStream, int] = {}
        self._tails: dict[LogStream, StreamTail] = {}

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""
        self._count[chunk.stream] = self._count.get(chunk.stream, 0) + len(chunk.data)
        self._tails.setdefault(chunk.stream, StreamTail()).add(chunk.data)

    @property
    def is_end_conclusive(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""
        return sum(self._count.values()) > SHORT_LOG

    def covers(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""
        ends: dict[LogStream, bytes] = {}
        for chunk in end:
            ends[chunk.stream] = ends.get(chunk.stream, b"") + chunk.data
        return bool(ends) and all(
            stream in self._tails and self._tails[stream].text().endswith(text)
            for stream, text in ends.items()
        )

    def resume_request(self, request: LogRequest) -> tuple[LogRequest, DuplicateFilter]:
        """Return what to ask for in order to go on, and what passes over what was given."""
        return request, ByteDuplicateFilter(dict(self._count))


class ByteDuplicateFilter:
    """Filter of the first bytes of each stream."""

    def __init__(self, seen: dict[LogStream, int]) -> None:
        self._seen = seen

    def select_new(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""
        known = self._seen.get(chunk.stream, 0)
        self._seen[chunk.stream] = max(0, known - len(chunk.data))
        rest = chunk.data[known:]
        return msgspec.structs.replace(chunk, data=rest) if rest else None


class StreamTail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        """Append bytes, and drop those that are too far from the end."""
        self._parts.append(data)
        self._size += len(data)
        while self._size - len(self._parts[0]) >= TAIL_SIZE:
            self._size -= len(self._parts.popleft())

    def text(self) -> bytes:
        """Return the last bytes."""
        return b"".join(self._parts)


def _iter_times(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Give the time of each message from a position on, and where it begins."""
    return ((data[begin : text - 1], begin) for begin, text, *_ in iter_messages(data, start))


def _parse_time(time: bytes) -> datetime:
    return message_time(time.decode("ascii"))


LAST_MESSAGES = 4
"""Messages that are read again in order to see whether all was given."""

TIME_RESOLUTION = timedelta(microseconds=1)
"""Resolution of the times in requests to an engine."""


async def read_whole_log(
    engine: Engine, container_id: str, request: LogRequest
) -> AsyncGenerator[LogChunk, None]:
    """Read a log; one that is followed to the container's end is yielded completely."""
    if request.follow:
        request = await _pin_start(engine, container_id, request)
    position = start_position(request)
    async with contextlib.aclosing(engine.logs(container_id, request)) as chunks:
        async for chunk in chunks:
            if request.follow:
                position.add(chunk)
            yield chunk
    if not request.follow:
        return
    with contextlib.suppress(NdsError):
        async with contextlib.aclosing(
            _read_missing_end(engine, container_id, request, position)
        ) as chunks:
            async for chunk in chunks:
                yield chunk


async def _read_missing_end(
    engine: Engine, container_id: str, request: LogRequest, position: LogPosition
) -> AsyncGenerator[LogChunk, None]:
    """Read what comes after a position in the log of a container that has ended."""
    ended = msgspec.structs.replace(request, follow=False)
    if position.is_end_conclusive:
        last = msgspec.structs.replace(ended, tail=LAST_MESSAGES)
        async with contextlib.aclosing(engine.logs(container_id, last)) as chunks:
            if position.covers([chunk async for chunk in chunks]):
                return
    new_request, duplicate_filter = position.resume_request(ended)
    async with contextlib.aclosing(engine.logs(container_id, new_request)) as chunks:
        async for chunk in chunks:
            if (new := duplicate_filter.select_new(chunk)) is not None:
                yield new


async def _pin_start(engine: Engine, container_id: str, request: LogRequest) -> LogRequest:
    """Return a request that begins at the same message whenever it is made.

    Messages with times are distinguished by them, as long as there is one. An engine counts the
    last messages over both streams, whichever is requested.
    """
    if request.tail is None or (request.timestamps and request.tail > 0):
        return request
    probe = msgspec.structs.replace(
        request,
        follow=False,
        timestamps=True,
        tail=max(1, request.tail),
        stream=LogStream.BOTH,
    )
    async with contextlib.aclosing(engine.logs(container_id, probe)) as chunks:
        async for chunk in chunks:
            for time, _ in _iter_times(chunk.data):
                since = _parse_time(time) + (TIME_RESOLUTION if request.tail == 0 else timedelta(0))
                return msgspec.structs.replace(request, tail=None, since=since)
    return msgspec.structs.replace(request, tail=None)
