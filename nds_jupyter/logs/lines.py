"""Splitting of a log's chunks into lines, and reading of its last lines.

With timestamps an engine begins every *message* with a time. A message is a line, or 16 KiB of one:
the engine cuts longer lines there (moby's ``daemon/logger/copier.go``, ``defaultBufSize``).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import datetime

import msgspec

from nds_jupyter.engines.base import Engine, LogChunk, LogRequest, LogStream
from nds_jupyter.rest.views import LogLine

MESSAGE_SIZE = 16 * 1024
"""Bytes after which the engine cuts a line into messages."""

LONGEST_TIME = 64
"""Bytes within which a message's time ends."""

LONGEST_LINE = 2**20
"""Bytes of a line; a longer one is split, so that memory is bounded."""

FIRST_TAIL = 10_000
"""Lines read at first when the end of a log is limited by its size."""


class LogTail(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines of a log, as they are stored when its container is removed."""

    lines: tuple[LogLine, ...]
    truncated: bool


class _PartialLine:
    """The beginning of one stream's current line."""

    def __init__(self) -> None:
        self.raw = b""
        self.time = ""
        self.text = b""


class LineSplitter:
    """Splitter of chunks of a log, read with timestamps, into lines."""

    def __init__(self) -> None:
        self._partial_lines: dict[LogStream, _PartialLine] = {}

    def feed(self, chunk: LogChunk) -> list[LogLine]:
        """Return the lines that this chunk completes."""
        partial = self._partial_lines.setdefault(chunk.stream, _PartialLine())
        raw = partial.raw + chunk.data
        lines: list[LogLine] = []
        done = 0
        for start, text, end, cut in iter_messages(raw):
            # One byte more tells a full message from a line of exactly that length.
            if cut and len(raw) <= end:
                break
            partial.time = partial.time or raw[start : text - 1].decode("ascii", "replace")
            partial.text += raw[text:end]
            if not cut or len(partial.text) >= LONGEST_LINE:
                lines.append(_finish_line(chunk.stream, partial, cut=cut))
            done = end if cut else end + 1
        partial.raw = raw[done:]
        return lines

    def flush(self) -> list[LogLine]:
        """Return the lines that have no line end."""
        lines = []
        for stream, partial in self._partial_lines.items():
            time, _, text = partial.raw.partition(b" ")
            if partial.raw:
                partial.time = partial.time or time.decode("ascii", "replace")
                partial.text += text
            if partial.time:
                lines.append(_finish_line(stream, partial))
        self._partial_lines.clear()
        return lines


def iter_messages(data: bytes, start: int = 0) -> Iterator[tuple[int, int, int, bool]]:
    """Find the messages of a log with timestamps, from a position on where one begins.

    Yields
    ------
    tuple
        Where a message begins, where its text does, where that ends, and whether the engine cut it
        there instead of at a line's end. Of the last one, the end may not have come yet.
    """
    while start < len(data):
        text = data.find(b" ", start, start + LONGEST_TIME) + 1
        if text == 0:
            return
        end = data.find(b"\n", text, text + MESSAGE_SIZE + 1)
        cut = end < 0
        if cut:
            end = text + MESSAGE_SIZE
        yield start, text, end, cut
        start = end if cut else end + 1


def message_time(text: str) -> datetime:
    """Return the time that a message begins with, cut to microseconds."""
    return datetime.fromisoformat(text[:26] + "Z")


def _finish_line(stream: LogStream, partial: _PartialLine, *, cut: bool = False) -> LogLine:
    text = partial.text.decode("utf-8", "replace")
    line = LogLine(stream=stream.value, time=partial.time, text=text, cut=cut)
    partial.time, partial.text = "", b""
    return line


async def split_into_lines(chunks: AsyncIterator[LogChunk]) -> AsyncGenerator[list[LogLine], None]:
    """Split chunks that were read with timestamps into batches of lines."""
    splitter = LineSplitter()
    async for chunk in chunks:
        if lines := splitter.feed(chunk):
            yield lines
    if lines := splitter.flush():
        yield lines


async def read_log_tail(engine: Engine, container_id: str, limit: int) -> LogTail:
    """Return the last lines of a log, with `limit` bytes of text at most."""
    lines: deque[LogLine] = deque()
    size = 0
    truncated = False
    request = LogRequest(timestamps=True)
    async with contextlib.aclosing(engine.logs(container_id, request)) as chunks:
        async for batch in split_into_lines(chunks):
            lines.extend(batch)
            size += sum(len(line.text) + 1 for line in batch)
            while size > limit and lines:
                size -= len(lines.popleft().text) + 1
                truncated = True
    return LogTail(lines=tuple(lines), truncated=truncated)


async def read_text_tail(
    engine: Engine, container_id: str, request: LogRequest, limit: int
) -> tuple[bytes, bool]:
    """Return the last bytes of a log, and whether there were more before them.

    An engine limits by lines, not bytes: so read some, and more if they were short.
    """
    tail = FIRST_TAIL if request.tail is None else request.tail
    while True:
        new_request = msgspec.structs.replace(request, tail=tail, follow=False)
        text, seen, lines = await _read_last_bytes(engine, container_id, new_request, limit)
        if seen > limit or request.tail is not None or lines < tail:
            return text, seen > limit
        tail *= 16


async def _read_last_bytes(
    engine: Engine, container_id: str, request: LogRequest, limit: int
) -> tuple[bytes, int, int]:
    parts: deque[bytes] = deque()
    seen = held = lines = 0
    async with contextlib.aclosing(engine.logs(container_id, request)) as chunks:
        async for chunk in chunks:
            parts.append(chunk.data)
            seen += len(chunk.data)
            held += len(chunk.data)
            lines += chunk.data.count(b"\n")
            while parts and held - len(parts[0]) >= limit:
                held -= len(parts.popleft())
    return b"".join(parts)[-limit:] if limit else b"", seen, lines
