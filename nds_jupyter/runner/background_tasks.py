"""Background tasks of the runner: following engine events, periodic cleanup."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from nds_jupyter.errors import NdsError
from nds_jupyter.runner.cleanup import OrphanCleanup, Retention
from nds_jupyter.runner.context import EngineAvailability, RunnerContext
from nds_jupyter.runner.lifecycle import RunningLifecycles

RESTART_DELAY = 5.0
"""Seconds before a duty that failed is taken up again."""


class BackgroundTasks:
    """Watches the engine for the walks, and sweeps.

    Parameters
    ----------
    interval
        Seconds between two sweeps.
    """

    def __init__(
        self,
        around: RunnerContext,
        walks: RunningLifecycles,
        reach: EngineAvailability,
        retention: Retention,
        orphans: OrphanCleanup,
        *,
        interval: float,
    ) -> None:
        self._engine = around.engine
        self._places = around.places
        self._log = around.log
        self._walks = walks
        self._reach = reach
        self._retention = retention
        self._orphans = orphans
        self._interval = interval
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Take them up."""
        for duty in (self._watch_engine, self._sweep_and_rest):
            self._tasks.append(asyncio.create_task(self._for_ever(duty)))

    async def close(self) -> None:
        """Leave them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _for_ever(self, duty: Callable[[], Awaitable[None]]) -> None:
        """Carry out a duty that must not end with an error of one round."""
        while True:
            try:
                await duty()
            except Exception:  # noqa: BLE001 - it is logged, and the duty is taken up again
                self._log.exception("The runner met a defect of the server and goes on.")
                await asyncio.sleep(RESTART_DELAY)

    async def _watch_engine(self) -> None:
        async with contextlib.aclosing(self._engine.events()) as events:
            async for event in events:
                if event.action == "connected":
                    await self._catch_up()
                else:
                    self._walks.tell(event)

    async def _catch_up(self) -> None:
        self._walks.look_again()
        try:
            if self._places.limit is None:
                info = await self._reach.info()
                self._places.set_limit(info.max_containers or max(1, info.cpus))
            await self._orphans.remove()
        except NdsError as exc:
            self._log.warning("The engine went away again: %s", exc)

    async def _sweep_and_rest(self) -> None:
        try:
            removed = await self.sweep()
        except NdsError as exc:
            self._log.warning("Old containers are not looked for: %s", exc)
        else:
            if removed:
                self._log.info("Retention removed %d containers.", removed)
        await asyncio.sleep(self._interval)

    async def sweep(self) -> int:
        """Remove the containers that are due now, and return how many those were."""
        removed = await self._retention.sweep()
        await self._orphans.tidy()
        return removed
