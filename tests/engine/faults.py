"""Faults between a server and its engine, switched on by a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

from nds_jupyter.errors import (
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    NdsError,
)


class Faults:
    """The faults of one fake engine.

    Parameters
    ----------
    deadline
        Seconds after which a call to a hanging engine fails.

    Attributes
    ----------
    disk_full
        Whether there is no room for images, containers and files.
    calls
        How often each method was called.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.disk_full = False
        self.calls: Counter[str] = Counter()
        self.up = asyncio.Event()
        self.up.set()
        self.awake = asyncio.Event()
        self.awake.set()
        self._refused: dict[str, list[NdsError]] = {}
        self._lost: Counter[str] = Counter()

    def go_down(self) -> None:
        """Answer nothing, and cut what is being read."""
        self.up.clear()

    def come_back(self) -> None:
        """Answer again, after `go_down` or `hang`."""
        self.up.set()
        self.awake.set()

    def clear(self) -> None:
        """Clear all faults."""
        self.come_back()
        self.disk_full = False
        self._refused.clear()
        self._lost.clear()

    def hang(self) -> None:
        """Accept calls and answer none."""
        self.awake.clear()

    def refuse(self, method: str, error: NdsError, times: int = 1) -> None:
        """Let the next calls of a method fail, with nothing done."""
        self._refused.setdefault(method, []).extend([error] * times)

    def lose_answer(self, method: str, times: int = 1) -> None:
        """Let the next calls of a method do their work and then seem to have failed."""
        self._lost[method] += times

    @contextlib.asynccontextmanager
    async def call(self, method: str) -> AsyncIterator[None]:
        """Apply the faults to one call of the engine."""
        self.calls[method] += 1
        # A real engine never answers at once: others have their turn meanwhile.
        await asyncio.sleep(0)
        await self.reach()
        if refused := self._refused.get(method):
            raise refused.pop(0)
        yield
        if self._lost[method]:
            self._lost[method] -= 1
            raise DeadlineExceeded(f"The answer to {method} was lost.")

    async def reach(self) -> None:
        """Return if the engine answers."""
        self.raise_if_down()
        try:
            async with asyncio.timeout(self.deadline):
                await self.awake.wait()
        except TimeoutError as exc:
            raise DeadlineExceeded("The engine has not answered in time.") from exc
        self.raise_if_down()

    def raise_if_down(self) -> None:
        """Fail as a client does that nobody answers."""
        if not self.up.is_set():
            raise EngineUnavailable("The engine does not answer. Start it.")

    def check_disk(self, what: str) -> None:
        """Fail where the disk is full."""
        if self.disk_full:
            raise EngineError(f"{what}: the engine's disk is full. Free space there.")
