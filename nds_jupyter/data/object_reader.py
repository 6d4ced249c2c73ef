"""Reader of objects with read-ahead, which resumes after a dropped connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import msgspec

from nds_jupyter.data.backend import CHUNK, Backend
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.errors import DataChanged, DataError, DataUnavailable, DeadlineExceeded, NdsError


async def pieces(
    access: FilesystemAccess, path: str, start: int, stop: int
) -> AsyncGenerator[bytes, None]:
    """Read an object, from one byte to before another, once; it may end before that.

    While a piece is used the next one is read, or the next ones where the backend lets a large
    object be read at several places at once: at most one a place is held.
    """
    if stop - start <= CHUNK:
        # One turn in the pool instead of three: most objects are small.
        yield await access.do(path, lambda full: access.backend.read_range(full, start, stop))
        return
    readers = [_Reader(access.backend) for _ in range(access.backend.streams(stop - start))]
    offsets = iter(range(start, stop, CHUNK))
    under_way: deque[_Read] = deque()

    def begin(reader: _Reader) -> None:
        offset = next(offsets, None)
        if offset is not None:
            size = min(CHUNK, stop - offset)
            call = access.do(path, reader.reading(offset, size), size)
            under_way.append(_Read(reader, size, asyncio.create_task(call)))

    try:
        for reader in readers:
            begin(reader)
        while under_way:
            first = under_way[0]
            piece = await first.task
            under_way.popleft()
            begin(first.reader)
            if piece:
                yield piece
            if len(piece) < first.size:
                return
    finally:
        await _end(access, path, readers, under_way)


async def _end(
    access: FilesystemAccess, path: str, readers: list[_Reader], under_way: deque[_Read]
) -> None:
    """Let no thread read any more, then close the files."""
    tasks = [read.task for read in under_way]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    def close() -> None:
        for reader in readers:
            with contextlib.suppress(OSError):
                reader.close()

    with contextlib.suppress(DataError, DeadlineExceeded):
        await access.calls.do(path, close)


class _Reader:
    """An object, opened when it is first read; for one thread at a time."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._file: Any = None
        self._at = 0
        self._closed = False

    def reading(self, start: int, size: int) -> Callable[[str], bytes]:
        """Return the call that reads a piece, given the filesystem's path of the object."""

        def read(full: str) -> bytes:
            if self._file is None:
                self._file = self._backend.open_read(full, start)
            elif self._at != start:
                self._file.seek(start)
            if self._closed:
                # Given up while it was opened.
                self._file.close()
                return b""
            data = _filled(self._file, size)
            self._at = start + len(data)
            return data

        return read

    def close(self) -> None:
        self._closed = True
        if self._file is not None:
            self._file.close()


class _Read(msgspec.Struct, frozen=True):
    reader: _Reader
    size: int
    task: asyncio.Task[bytes]


def _filled(file: Any, size: int) -> bytes:
    """Read until there is enough, or no more."""
    data: bytes = file.read(size)
    if not data or len(data) == size:
        return data
    parts, left = [data], size - len(data)
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


PAUSE_FIRST, PAUSE_MOST = 0.2, 5.0
"""Seconds between attempts to take up a dropped connection."""

DROPPED = (DataUnavailable, DeadlineExceeded)
"""Errors after which the same call may work."""


async def read(
    access: FilesystemAccess, entry: Entry, start: int = 0, stop: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Read an object, from one byte to before another.

    A connection that drops is taken up where it broke, at most `access.retries` times.

    Raises
    ------
    DataChanged
        If the object is not, or no longer, the one that `entry` describes.
    """
    at, end = start, entry.size if stop is None else stop
    failures = 0
    while at < end:
        try:
            async with contextlib.aclosing(pieces(access, entry.path, at, end)) as found:
                async for piece in found:
                    at += len(piece)
                    yield piece
            if at < end:
                raise changed(entry)
        except DROPPED:
            failures += 1
            if failures > access.retries:
                raise
            await asyncio.sleep(min(PAUSE_FIRST * 2 ** (failures - 1), PAUSE_MOST))
            await _expect_same(access, entry)


async def read_small(access: FilesystemAccess, entries: Sequence[Entry]) -> list[bytes]:
    """Read whole objects that are small enough for memory, by one turn in a thread.

    Raises
    ------
    NdsError
        As `read` does; its sentence names the object.
    """
    found: list[bytes] = []
    filled = [entry for entry in entries if entry.size]

    def collect() -> None:
        for entry in filled:
            full = access.backend.full(entry.path)
            found.append(access.backend.read_range(full, 0, entry.size))

    if len(filled) > 1:
        # What does not come this way is read by itself: that tries again, and knows the path.
        with contextlib.suppress(NdsError):
            size = sum(entry.size for entry in filled)
            await access.do(filled[0].path, lambda _: collect(), size)
            whole = iter(found)
            return [next(whole) if entry.size else b"" for entry in entries]
    return [b"".join([piece async for piece in read(access, entry)]) for entry in entries]


async def _expect_same(access: FilesystemAccess, entry: Entry) -> None:
    with contextlib.suppress(*DROPPED):
        if await access.entry(entry.path) != entry:
            raise changed(entry)


def changed(entry: Entry) -> DataChanged:
    """Return the error for an object that is not what it was."""
    return DataChanged(f"{entry.path} changed while it was read. Try again when it is at rest.")
