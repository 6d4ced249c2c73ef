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


def wait_until(reached: Callable[[], object], seen: Callable[[], object]) -> None:
    """Wait until a condition holds, in this thread; says what was seen last if it does not."""
    end = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < end, f"not within {DEADLINE:g} s; there is {seen()}"
        time.sleep(0.05)
