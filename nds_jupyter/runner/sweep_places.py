"""How many jobs of one sweep run at once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from nds_jupyter.runner.places import Places
from nds_jupyter.sweeps import SweepPoint


class SweepPlaces:
    """Places by sweep, for as long as a job of it holds or wants one."""

    def __init__(self) -> None:
        self._places: dict[str, Places] = {}
        self._users: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def hold(self, point: SweepPoint | None, *, at_once: bool) -> AsyncIterator[None]:
        """Hold a place of a job's sweep; nothing for a job of its own, or without a bound."""
        if point is None or point.most_at_once is None:
            yield
            return
        key = point.sweep_id
        places = self._places.setdefault(key, Places(point.most_at_once))
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with places.hold(at_once=at_once):
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._places[key]
