"""FIFO semaphores that limit how many jobs, and how many of one sweep, run at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from nds_jupyter.jobs.sweep import SweepPoint


class Slots:
    """A counting lock whose limit may become known late.

    Parameters
    ----------
    limit
        Jobs at once; None until the engine has said how many CPUs it has. Nobody is let in before.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int | None:
        """Jobs at once."""
        return self._limit

    def set_limit(self, limit: int) -> None:
        """Say how many jobs may run at once."""
        self._limit = limit
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._limit is not None and self._taken < self._limit:
            future = self._queue.popleft()
            if not future.done():
                self._taken += 1
                future.set_result(None)

    @contextlib.asynccontextmanager
    async def hold(self, *, at_once: bool = False) -> AsyncIterator[None]:
        """Hold a place.

        Parameters
        ----------
        at_once
            Do not wait: the job's container runs already, after a restart of the server.
        """
        if at_once:
            self._taken += 1
        else:
            await self._wait_for_place()
        try:
            yield
        finally:
            self._taken -= 1
            self._let_in()

    async def _wait_for_place(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        self._let_in()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._taken -= 1
                self._let_in()
            raise


class SweepSlots:
    """Places by sweep, for as long as a job of it holds or wants one."""

    def __init__(self) -> None:
        self._places: dict[str, Slots] = {}
        self._users: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def hold(self, point: SweepPoint | None, *, at_once: bool) -> AsyncIterator[None]:
        """Hold a place of a job's sweep; nothing for a job of its own, or without a bound."""
        if point is None or point.most_at_once is None:
            yield
            return
        key = point.sweep_id
        places = self._places.setdefault(key, Slots(point.most_at_once))
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with places.hold(at_once=at_once):
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._places[key]
