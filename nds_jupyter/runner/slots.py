"""FIFO semaphores that limit how many jobs, and how many of one sweep, run at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from nds_jupyter.jobs.parameter_sweep import SweepPoint


class Slots:
    """FIFO semaphore whose limit may be set late.

    Parameters
    ----------
    limit
        Jobs at once; None until the engine has said how many CPUs it has. Nobody gets a slot
        before.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._in_use = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int | None:
        """Jobs at once."""
        return self._limit

    def set_limit(self, limit: int) -> None:
        """Set how many jobs may run at once."""
        self._limit = limit
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        while self._queue and self._limit is not None and self._in_use < self._limit:
            future = self._queue.popleft()
            if not future.done():
                self._in_use += 1
                future.set_result(None)

    @contextlib.asynccontextmanager
    async def acquire(self, *, immediately: bool = False) -> AsyncIterator[None]:
        """Hold a slot while the block runs.

        Parameters
        ----------
        immediately
            Do not wait: the job's container runs already, after a restart of the server.
        """
        if immediately:
            self._in_use += 1
        else:
            await self._wait_for_slot()
        try:
            yield
        finally:
            self._in_use -= 1
            self._admit_waiting()

    async def _wait_for_slot(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        self._admit_waiting()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._in_use -= 1
                self._admit_waiting()
            raise


class SweepSlots:
    """Slots of each parameter sweep, for as long as a job of it holds or waits for one."""

    def __init__(self) -> None:
        self._slots: dict[str, Slots] = {}
        self._users: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def acquire(self, point: SweepPoint | None, *, immediately: bool) -> AsyncIterator[None]:
        """Hold a slot of a job's sweep; nothing for a job of no sweep, or without a limit."""
        if point is None or point.most_at_once is None:
            yield
            return
        key = point.sweep_id
        slots = self._slots.setdefault(key, Slots(point.most_at_once))
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with slots.acquire(immediately=immediately):
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._slots[key]
