"""A stream of events that goes on where its connection was lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from nds_jupyter.engines.base import EngineEvent
from nds_jupyter.errors import NdsError

FIRST, MOST = 0.2, 5.0
"""Seconds between attempts to connect."""

Connect = Callable[[float | None], AsyncGenerator[EngineEvent, None]]
"""Opens the stream from a time on, in seconds since 1970; from now on for None."""


async def reconnecting(connect: Connect) -> AsyncGenerator[EngineEvent, None]:
    """Give the events of one connection after the other, for ever."""
    since: float | None = None
    pause = FIRST
    while True:
        try:
            async with contextlib.aclosing(connect(since)) as events:
                async for event in events:
                    since = event.at.timestamp()
                    pause = FIRST
                    yield event
        except NdsError:
            await asyncio.sleep(pause)
            pause = min(2 * pause, MOST)
        else:
            await asyncio.sleep(pause)
