"""How many jobs run at once: places, given out in the order in which they were asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Places:
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
