"""Waiting for a condition, with a deadline and a message of what was waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

DEADLINE = 60.0


async def until(reached: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, while the event loop runs."""
    end = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < end, f"{what}: not within {DEADLINE:g} s"
        await asyncio.sleep(0.01)
