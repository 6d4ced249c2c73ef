"""How far a transfer is, in one line that changes in place."""

from __future__ import annotations

import time

from nds_jupyter.client.status_line import StatusLine
from nds_jupyter.sizes import size_text

EVERY = 0.2
"""Seconds between two changes."""

WIDTH = 30


class ProgressLine:
    """Shows the transfer of one object after the other."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self._shown = float("-inf")

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show how much of an object has passed; its end is always shown."""
        now = time.monotonic()
        if now - self._shown < EVERY and done < total:
            return
        self._shown = now
        filled = WIDTH if total <= 0 else min(WIDTH, WIDTH * done // total)
        bar = "█" * filled + "░" * (WIDTH - filled)
        self._line.show(f"{bar} {size_text(done)} of {size_text(total)}  {name}")
