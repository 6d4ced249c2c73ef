"""How long a server that is away is asked again: jobs outlive it, so what watches them has to."""

from __future__ import annotations

import time

from nds_jupyter.errors import NdsError

PATIENCE = 60.0
"""Seconds that a server may be away, as long as it takes to be started again."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two attempts to connect again."""


class Patience:
    """How long a server that does not answer is asked again."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def answered(self) -> None:
        """Begin anew: the server is there."""
        self._since, self._pause = None, FIRST_PAUSE

    def wait(self, error: NdsError) -> None:
        """Wait before the next attempt, or raise the error when it has lasted too long."""
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > PATIENCE:
            raise error
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
