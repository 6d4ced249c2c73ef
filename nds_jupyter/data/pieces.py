"""The pieces of one object in their order, the next of them read ahead in threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

from nds_jupyter.data.access import Access
from nds_jupyter.data.backend import CHUNK, Backend
from nds_jupyter.errors import DataError, DeadlineExceeded


async def pieces(access: Access, path: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
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


async def _end(access: Access, path: str, readers: list[_Reader], under_way: deque[_Read]) -> None:
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
