"""Reader of objects with read-ahead, which resumes after a dropped connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from nds_jupyter.data.backend import CHUNK, Backend
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.errors import DataChanged, DataError, DataUnavailable, DeadlineExceeded, NdsError

INITIAL_BACKOFF, MAX_BACKOFF = 0.2, 5.0
"""Seconds between attempts to resume after a dropped connection."""

TRANSIENT_ERRORS = (DataUnavailable, DeadlineExceeded)
"""Errors after which the same call may work."""


async def read(
    access: FilesystemAccess, entry: Entry, start: int = 0, stop: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Read an object, from one byte to before another.

    After a dropped connection it resumes where that broke, at most `access.retries` times. What
    took several requests is looked at again in the end: others may have written over a part of it.

    Raises
    ------
    DataChanged
        If the object is not, or no longer, the one that `entry` describes.
    """
    position, end = start, entry.size if stop is None else stop
    failures = 0
    while position < end:
        try:
            async with contextlib.aclosing(
                _read_ahead(access, entry.path, position, end)
            ) as chunks:
                async for chunk in chunks:
                    position += len(chunk)
                    yield chunk
            if position < end:
                raise changed_error(entry)
        except TRANSIENT_ERRORS:
            failures += 1
            if failures > access.retries:
                raise
            await asyncio.sleep(min(INITIAL_BACKOFF * 2 ** (failures - 1), MAX_BACKOFF))
            await _expect_unchanged(access, entry)
    if end - start > CHUNK:
        await _expect_unchanged(access, entry)


async def read_small(access: FilesystemAccess, entries: Sequence[Entry]) -> list[bytes]:
    """Read whole objects that are small enough for memory, by one call in a thread.

    Raises
    ------
    NdsError
        As `read` does; its sentence names the object.
    """
    contents: list[bytes] = []
    nonempty = [entry for entry in entries if entry.size]

    def read_all() -> None:
        for entry in nonempty:
            fs_path = access.backend.filesystem_path(entry.path)
            contents.append(access.backend.read_range(fs_path, 0, entry.size))

    if len(nonempty) > 1:
        # On an error each is read by itself, which retries, and names the path.
        with contextlib.suppress(NdsError):
            size = sum(entry.size for entry in nonempty)
            await access.call(nonempty[0].path, lambda _: read_all(), size)
            if [len(each) for each in contents] == [entry.size for entry in nonempty]:
                remaining = iter(contents)
                return [next(remaining) if entry.size else b"" for entry in entries]
    return [b"".join([chunk async for chunk in read(access, entry)]) for entry in entries]


async def _expect_unchanged(access: FilesystemAccess, entry: Entry) -> None:
    with contextlib.suppress(*TRANSIENT_ERRORS):
        if await access.entry(entry.path) != entry:
            raise changed_error(entry)


def changed_error(entry: Entry) -> DataChanged:
    """Return the error for an object that changed while it was read."""
    return DataChanged(f"{entry.path} changed while it was read. Try again when it is at rest.")


async def _read_ahead(
    access: FilesystemAccess, path: str, start: int, stop: int
) -> AsyncGenerator[bytes, None]:
    """Read an object in chunks, without retries; it may end before `stop`.

    While a chunk is used the next one is read, or the next ones where the backend reads a large
    object by several streams: at most one chunk a stream is in memory.
    """
    if stop - start <= CHUNK:
        # One call in the thread pool instead of three: most objects are small.
        yield await access.call(
            path, lambda fs_path: access.backend.read_range(fs_path, start, stop)
        )
        return
    streams = [
        _ReadStream(access.backend) for _ in range(access.backend.read_streams(stop - start))
    ]
    offsets = iter(range(start, stop, CHUNK))
    pending: deque[_PendingRead] = deque()

    def read_next(stream: _ReadStream) -> None:
        offset = next(offsets, None)
        if offset is not None:
            size = min(CHUNK, stop - offset)
            call = access.call(path, functools.partial(stream.read_at, offset, size), size)
            pending.append(_PendingRead(stream, size, asyncio.create_task(call)))

    try:
        for stream in streams:
            read_next(stream)
        while pending:
            first = pending[0]
            chunk = await first.task
            pending.popleft()
            read_next(first.stream)
            if chunk:
                yield chunk
            if len(chunk) < first.size:
                return
    finally:
        await _close_streams(access, path, streams, pending)


class _ReadStream:
    """An open file of an object, opened when it is first read; for one thread at a time."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._file: Any = None
        self._position = 0
        self._closed = False

    def read_at(self, start: int, size: int, fs_path: str) -> bytes:
        """Read a chunk at an offset."""
        if self._file is None:
            self._file = self._backend.open_read(fs_path, start)
        elif self._position != start:
            self._file.seek(start)
        if self._closed:
            # The read was cancelled while the file was opened.
            self._file.close()
            return b""
        data = _read_fully(self._file, size)
        self._position = start + len(data)
        return data

    def close(self) -> None:
        self._closed = True
        if self._file is not None:
            self._file.close()


class _PendingRead(msgspec.Struct, frozen=True):
    """One chunk that is being read ahead."""

    stream: _ReadStream
    size: int
    task: asyncio.Task[bytes]


async def _close_streams(
    access: FilesystemAccess,
    path: str,
    streams: list[_ReadStream],
    pending: deque[_PendingRead],
) -> None:
    """Cancel the reads, so that no thread uses the files any more, then close them."""
    tasks = [each.task for each in pending]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    def close() -> None:
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.close()

    with contextlib.suppress(DataError, DeadlineExceeded):
        await access.calls.run(path, close)


def _read_fully(file: Any, size: int) -> bytes:
    """Read until there is enough, or no more."""
    data: bytes = file.read(size)
    if not data or len(data) == size:
        return data
    parts, remaining = [data], size - len(data)
    while remaining and (part := file.read(remaining)):
        parts.append(part)
        remaining -= len(part)
    return b"".join(parts)
