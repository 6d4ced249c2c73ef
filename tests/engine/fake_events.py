"""Event stream of the fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from nds_jupyter.engines.base import LABEL_JOB, EngineEvent
from nds_jupyter.jobs.job import utc_now
from tests.engine.fake_container import FakeContainer
from tests.engine.faults import Faults


class FakeEvents:
    """Events of jobs' containers, in order, and their readers."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._events: list[EngineEvent] = []
        self._added = asyncio.Event()

    def clear(self) -> None:
        """Lose the events so far, as a restarted engine does."""
        self._events.clear()
        self._wake()

    def add(self, action: str, container: FakeContainer, exit_code: int | None = None) -> None:
        """Add an event of a container, if it is one of a job."""
        job_id = container.spec.labels.get(LABEL_JOB)
        if job_id is not None:
            event = EngineEvent(
                action=action,
                container_id=container.id,
                job_id=job_id,
                at=utc_now(),
                exit_code=exit_code,
            )
            self._events.append(event)
            self._wake()

    def _wake(self) -> None:
        self._added.set()
        self._added = asyncio.Event()

    async def watch(self) -> AsyncGenerator[EngineEvent, None]:
        """Yield the events from now on, and `connected` first, each time the engine is back."""
        seen = len(self._events)
        while True:
            await self._faults.up.wait()
            await self._faults.awake.wait()
            yield EngineEvent(action="connected", container_id="", job_id="", at=utc_now())
            while self._faults.up.is_set():
                added = self._added
                seen = min(seen, len(self._events))
                for event in self._events[seen:]:
                    seen += 1
                    yield event
                if added is self._added:
                    await added.wait()
