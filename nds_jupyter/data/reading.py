"""Reads objects of a data root as streams that outlive a dropped connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

from nds_jupyter.data.access import Access
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.pieces import pieces
from nds_jupyter.errors import DataChanged, DataUnavailable, DeadlineExceeded, NdsError

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
            whole = iter(found)
            return [next(whole) if entry.size else b"" for entry in entries]
    return [b"".join([piece async for piece in read(access, entry)]) for entry in entries]


async def _expect_same(access: Access, entry: Entry) -> None:
    with contextlib.suppress(*DROPPED):
        if await access.entry(entry.path) != entry:
            raise changed(entry)


def changed(entry: Entry) -> DataChanged:
    """Return the error for an object that is not what it was."""
    return DataChanged(f"{entry.path} changed while it was read. Try again when it is at rest.")
