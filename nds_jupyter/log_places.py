"""How far a log was given, and what of it is left where it is read again. Pure.

An engine gives messages whole, and in the order in which they were written. So what is missing is
always what comes after some place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from nds_jupyter.engines.base import LogChunk, LogRequest, LogStream
from nds_jupyter.logs import MESSAGE

DISORDER = timedelta(seconds=1)
"""How much earlier a message may be than one that was written before it, on the other stream: the
engine reads each stream in a thread of its own, takes the time first, and writes then."""

SHORT = 2**20
"""Bytes of a log without times that is read again as a whole: its end may look like its middle."""

KEPT = 2**17
"""Bytes of each stream's end that are kept for comparing."""

_LONGEST_TIME = 64


class Rest(Protocol):
    """Passes over what was given."""

    def of(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""


class Place(Protocol):
    """How far a log was given."""

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""

    @property
    def is_known_by_the_end(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""

    def is_past(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""

    def again(self, request: LogRequest) -> tuple[LogRequest, Rest]:
        """Return what to ask for in order to go on, and what passes over what was given."""


def beginning(request: LogRequest) -> Place:
    """Return the place where nothing was given yet."""
    return TimePlace() if request.timestamps else CountPlace()


class TimePlace:
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
        for time, _ in messages(chunk.data, chunk.data.rfind(b"\n", 0, -1) + 1):
            count = count + 1 if time == last else 1
            last = time
        self._first = self._first or next(messages(chunk.data), (b"", 0))[0]
        self._last[chunk.stream] = last, count
        (self._open.discard if chunk.data.endswith(b"\n") else self._open.add)(chunk.stream)

    @property
    def is_known_by_the_end(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""
        # More pieces of a line that is open would have the time of those that were given.
        return not self._open

    def is_past(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""
        there = TimePlace()
        for chunk in end:
            there.add(chunk)
        return bool(there._last) and all(
            time <= self._last.get(stream, (b"", 0))[0] for stream, (time, _) in there._last.items()
        )

    def again(self, request: LogRequest) -> tuple[LogRequest, Rest]:
        """Return what to ask for in order to go on, and what passes over what was given."""
        if not self._last:
            return request, TimeRest(b"", {})
        latest = max(time for time, _ in self._last.values())
        since = moment(latest) - DISORDER
        if request.since is not None:
            since = max(since, request.since)
        asked = msgspec.structs.replace(request, tail=None, since=since)
        # Of a stream of which nothing came, nothing was wanted from before that.
        return asked, TimeRest(self._first, dict(self._last))


class TimeRest:
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
        for time, start in messages(chunk.data):
            if time > last or (time == last and count == 0):
                self._joined.add(chunk.stream)
                return msgspec.structs.replace(chunk, data=chunk.data[start:])
            count -= time == last
        self._given[chunk.stream] = last, count
        return None


class CountPlace:
    """How many bytes of each stream were given, for a log that begins at the same place again."""

    def __init__(self) -> None:
        self._count: dict[LogStream, int] = {}
        self._ends: dict[LogStream, End] = {}

    def add(self, chunk: LogChunk) -> None:
        """Take note of what was given next."""
        self._count[chunk.stream] = self._count.get(chunk.stream, 0) + len(chunk.data)
        self._ends.setdefault(chunk.stream, End()).add(chunk.data)

    @property
    def is_known_by_the_end(self) -> bool:
        """Whether the last messages of a log can tell that all was given."""
        return sum(self._count.values()) > SHORT

    def is_past(self, end: Sequence[LogChunk]) -> bool:
        """Whether the last messages of a log, as they were read again, were all given."""
        there: dict[LogStream, bytes] = {}
        for chunk in end:
            there[chunk.stream] = there.get(chunk.stream, b"") + chunk.data
        return bool(there) and all(
            stream in self._ends and self._ends[stream].text().endswith(text)
            for stream, text in there.items()
        )

    def again(self, request: LogRequest) -> tuple[LogRequest, Rest]:
        """Return what to ask for in order to go on, and what passes over what was given."""
        return request, CountRest(dict(self._count))


class CountRest:
    """Passes over so many bytes of each stream."""

    def __init__(self, given: dict[LogStream, int]) -> None:
        self._given = given

    def of(self, chunk: LogChunk) -> LogChunk | None:
        """Return what is new of the next chunk of a log that is read again."""
        known = self._given.get(chunk.stream, 0)
        self._given[chunk.stream] = max(0, known - len(chunk.data))
        rest = chunk.data[known:]
        return msgspec.structs.replace(chunk, data=rest) if rest else None


class End:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        """Keep what came next, and let go of what is too far from the end."""
        self._parts.append(data)
        self._size += len(data)
        while self._size - len(self._parts[0]) >= KEPT:
            self._size -= len(self._parts.popleft())

    def text(self) -> bytes:
        """Return what is kept."""
        return b"".join(self._parts)


def messages(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Give the time of each message from a position on, and where it begins."""
    while start < len(data):
        space = data.find(b" ", start, start + _LONGEST_TIME)
        if space < 0:
            return
        yield data[start:space], start
        end = data.find(b"\n", space + 1, space + 2 + MESSAGE)
        start = space + 1 + MESSAGE if end < 0 else end + 1


def moment(time: bytes) -> datetime:
    """Return an engine's time, cut to microseconds."""
    return datetime.fromisoformat(time[:26].decode("ascii")).replace(tzinfo=UTC)
