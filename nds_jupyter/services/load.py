"""Load of the engine: slots, queued jobs, and resources that running jobs use."""

from __future__ import annotations

import asyncio

from nds_jupyter.engines.base import Engine, EngineInfo
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.job import Phase
from nds_jupyter.rest.views import LoadView
from nds_jupyter.runner import JobRunner

ASK_AGAIN = 15.0
"""Seconds for which the engine is taken to be as it last said, or as silent."""

ANSWER_BY = 3.0
"""Seconds that the engine has to say what it has."""


class EngineLoad:
    """Tells the load, for one owner at a time.

    Parameters
    ----------
    runner
        Knows the jobs under way and what they use.
    engine
        Says what it has; asked once in a while.
    """

    def __init__(self, runner: JobRunner, engine: Engine) -> None:
        self._runner = runner
        self._engine = engine
        self._info: EngineInfo | None = None
        self._asked = float("-inf")

    async def of(self, owner: str) -> LoadView:
        """Return the owner's jobs that run and wait, and what all jobs of this server use."""
        info = await self._engine_info()
        jobs = [job for job in self._runner.under_way() if job.owner == owner]
        queued = sum(job.phase is Phase.ACCEPTED for job in jobs)
        samples = self._runner.newest_samples()
        return LoadView(
            running=len(jobs) - queued,
            queued=queued,
            places=self._runner.places,
            cpus=None if info is None else info.cpus,
            memory=None if info is None else info.memory,
            cpu_percent=round(sum(sample.cpu_percent for sample in samples), 1),
            memory_usage=sum(sample.memory_usage for sample in samples),
        )

    async def _engine_info(self) -> EngineInfo | None:
        now = asyncio.get_running_loop().time()
        if now - self._asked >= ASK_AGAIN:
            # Noted before it is asked, so that many who want to know ask once.
            self._asked = now
            try:
                async with asyncio.timeout(ANSWER_BY):
                    self._info = await self._engine.info()
            except (NdsError, TimeoutError):
                self._info = None
        return self._info
