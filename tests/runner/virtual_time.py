"""An event loop whose clock jumps to the next thing to do, so that hours pass in no time.

Only for code that waits for nothing outside the loop: no threads, no sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest import mock

BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)


class _Jumping(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("Everything waits, and nothing will ever happen.")
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def utc_now(self) -> datetime:
        """Return the time on this loop's clock."""
        return BEGINNING + timedelta(seconds=self.time())

    @contextlib.contextmanager
    def clock_for(self, *modules: str) -> Iterator[None]:
        """Let modules that imported `utc_now` read this clock."""
        with contextlib.ExitStack() as stack:
            for module in modules:
                stack.enter_context(mock.patch(f"{module}.utc_now", self.utc_now))
            yield
