"""What passes between a cell and its server: how far it is, and an end to it if the user wants."""

from __future__ import annotations

import threading

from nds_jupyter.errors import NdsError
from nds_jupyter.magics.progress import ProgressLine

NOTICEABLE = 4 * 2**20
"""Bytes of a file whose way is shown; a smaller one has passed before anyone looks."""


class Abandoned(NdsError):
    """The user interrupted the cell before its job was submitted."""

    code = "abandoned"
    reason = "interrupted"


class Sending:
    """Told by a thread that moves files, shown by the cell's own.

    Parameters
    ----------
    quiet
        Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._line = None if quiet else ProgressLine()
        self._abandoned = threading.Event()
        self._state: tuple[str, int, int] | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        """Take note of how much of a file has passed.

        Raises
        ------
        Abandoned
            If nobody wants the job any more.
        """
        self._state = (name, done, total)
        if self._abandoned.is_set():
            raise Abandoned("Nothing was submitted.")

    def at_once(self, name: str, done: int, total: int) -> None:
        """Take note of how much of a file has passed, and show it; for the cell's own thread."""
        self(name, done, total)
        self.show()

    def show(self) -> None:
        """Show how far it is."""
        state, self._state = self._state, None
        if self._line is not None and state is not None and state[2] >= NOTICEABLE:
            self._line(*state)

    def abandon(self) -> None:
        """Let the thread that sends give up."""
        self._abandoned.set()
