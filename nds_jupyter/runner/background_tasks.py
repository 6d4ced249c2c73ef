"""Background tasks of the runner: following engine events, periodic cleanup."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from nds_jupyter.errors import NdsError
from nds_jupyter.runner.context import RunnerContext
from nds_jupyter.runner.job_lifecycle import RunningLifecycles
from nds_jupyter.runner.retention import OrphanCleanup, Retention

RESTART_DELAY = 5.0
"""Seconds before a task that failed is started again."""


class BackgroundTasks:
    """The two endless tasks of a runner: following the engine's events, and cleaning up.

    Parameters
    ----------
    interval
        Seconds between two clean-ups.
    """

    def __init__(
        self,
        context: RunnerContext,
        lifecycles: RunningLifecycles,
        retention: Retention,
        orphan_cleanup: OrphanCleanup,
        *,
        interval: float,
    ) -> None:
        self._engine = context.engine
        self._slots = context.slots
        self._log = context.log
        self._lifecycles = lifecycles
        self._availability = context.availability
        self._retention = retention
        self._orphan_cleanup = orphan_cleanup
        self._interval = interval
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start both tasks."""
        for task in (self._follow_engine_events, self._clean_up_periodically):
            self._tasks.append(asyncio.create_task(self._run_forever(task)))

    async def close(self) -> None:
        """Cancel both tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run_forever(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task again and again, also after an error of one round."""
        while True:
            try:
                await task()
            except Exception:  # noqa: BLE001 - it is logged, and the task is started again
                self._log.exception("The runner met a defect of the server and goes on.")
                await asyncio.sleep(RESTART_DELAY)

    async def _follow_engine_events(self) -> None:
        """Pass each event to the lifecycle of its job, until the stream ends."""
        async with contextlib.aclosing(self._engine.events()) as events:
            async for event in events:
                if event.action == "connected":
                    await self._resynchronize()
                else:
                    self._lifecycles.handle_event(event)

    async def _resynchronize(self) -> None:
        """Compare with the engine after a connect: events may have been missed."""
        self._lifecycles.check_all_containers()
        try:
            if self._slots.limit is None:
                info = await self._availability.info()
                self._slots.set_limit(info.max_containers or max(1, info.cpus))
            await self._orphan_cleanup.remove_orphans()
        except NdsError as exc:
            self._log.warning("The engine went away again: %s", exc)

    async def _clean_up_periodically(self) -> None:
        try:
            removed = await self.clean_up()
        except NdsError as exc:
            self._log.warning("Old containers are not looked for: %s", exc)
        else:
            if removed:
                self._log.info("Retention removed %d containers.", removed)
        await asyncio.sleep(self._interval)

    async def clean_up(self) -> int:
        """Remove the containers that are due now, and return how many those were."""
        removed = await self._retention.remove_expired()
        await self._orphan_cleanup.remove_leftovers()
        return removed
