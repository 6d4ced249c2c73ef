"""Reads objects of a data root as streams that outlive a dropped connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from nds_jupyter.data.access import Access
from nds_jupyter.data.backend import CHUNK
from nds_jupyter.data.entries import Entry
from nds_jupyter.errors import DataChanged, DataError, DataUnavailable, DeadlineExceeded, NdsError

PAUSE_FIRST, PAUSE_MOST = 0.2, 5.0
"""Seconds between attempts to take up a dropped connection."""

DROPPED = (DataUnavailable, DeadlineExceeded)
"""Errors after which the same call may work."""


async def read(
    access: Access, entry: Entry, start: int = 0, stop: int | None = None
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
            async with contextlib.aclosing(_pieces(access, entry.path, at, end)) as pieces:
                async for piece in pieces:
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


async def read_small(access: Access, entries: Sequence[Entry]) -> list[bytes]:
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
            pieces = iter(found)
            return [next(pieces) if entry.size else b"" for entry in entries]
    return [b"".join([piece async for piece in read(access, entry)]) for entry in entries]


async def _expect_same(access: Access, entry: Entry) -> None:
    with contextlib.suppress(*DROPPED):
        if await access.entry(entry.path) != entry:
            raise changed(entry)


async def _pieces(access: Access, path: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    if stop - start <= CHUNK:
        # One turn in the pool instead of three: most objects are small.
        yield await access.do(path, lambda full: access.backend.read_range(full, start, stop))
        return
    # In a list, since a read that is given up while it opens has a file all the same.
    files: list[Any] = []
    try:
        await access.do(path, lambda full: files.append(access.backend.open_read(full, start)))
        while start < stop:
            take = partial(files[0].read, min(CHUNK, stop - start))
            piece: bytes = await access.calls.do(path, take)
            if not piece:
                return
            start += len(piece)
            yield piece
    finally:
        for file in files:
            with contextlib.suppress(DataError, DeadlineExceeded):
                await access.calls.do(path, file.close)


def changed(entry: Entry) -> DataChanged:
    """Return the error for an object that is not what it was."""
    return DataChanged(f"{entry.path} changed while it was read. Try again when it is at rest.")
