"""The body of a request as a stream, no faster than it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

BLOCK = 2**20
"""Bytes collected before they are handed on; they come in pieces of 64 KiB."""

AHEAD = 2
"""Blocks received ahead of who takes them."""

DRAIN = 64 * 2**20
"""Bytes still received, and dropped, after a failure: a client that is cut off in the middle of its
body may never read the answer that says why."""


class Body:
    """What is between a connection that gives pieces and a task that takes blocks."""

    def __init__(self) -> None:
        self._collected = bytearray()
        self._blocks: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
        self.dropped = 0

    async def feed(self, piece: bytes, taker: asyncio.Task[object]) -> None:
        """Hand a piece on, waiting while the taker is behind; dropped if the taker has ended."""
        if taker.done():
            self.dropped += len(piece)
            return
        self._collected += piece
        if len(self._collected) >= BLOCK:
            await self._hand_on(taker)

    async def end(self, taker: asyncio.Task[object]) -> None:
        """Say that the body is complete."""
        if self._collected:
            await self._hand_on(taker)
        await self._put(None, taker)

    async def _hand_on(self, taker: asyncio.Task[object]) -> None:
        block, self._collected = bytes(self._collected), bytearray()
        await self._put(block, taker)

    async def _put(self, block: bytes | None, taker: asyncio.Task[object]) -> None:
        putting = asyncio.ensure_future(self._blocks.put(block))
        try:
            await asyncio.wait({putting, taker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body until its end."""
        while (block := await self._blocks.get()) is not None:
            yield block
