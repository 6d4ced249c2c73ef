"""What the fake engine tells of its containers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from nds_jupyter.engines.base import LABEL_JOB, EngineEvent
from nds_jupyter.jobs.job import utc_now
from tests.engine.fake_container import FakeContainer
from tests.engine.faults import Faults


class FakeEvents:
    """What happened to containers of jobs, in order, and whoever watches it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._events: list[EngineEvent] = []
        self._news = asyncio.Event()

    def forget(self) -> None:
        """Lose what happened so far, as a restarted engine does."""
        self._events.clear()
        self._wake()

    def add(self, action: str, container: FakeContainer, exit_code: int | None = None) -> None:
        """Note what happened to a container, if it is one of a job."""
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
        self._news.set()
        self._news = asyncio.Event()

    async def watch(self) -> AsyncGenerator[EngineEvent, None]:
        """Give what happens from now on, and `connected` first, each time the engine is back."""
        seen = len(self._events)
        while True:
            await self._faults.up.wait()
            await self._faults.awake.wait()
            yield EngineEvent(action="connected", container_id="", job_id="", at=utc_now())
            while self._faults.up.is_set():
                news = self._news
                seen = min(seen, len(self._events))
                for event in self._events[seen:]:
                    seen += 1
                    yield event
                if news is self._news:
                    await news.wait()
