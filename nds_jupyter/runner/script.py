"""A job's script in its container: start, time limit, stop and end.

A container is started only if the engine says that it was created and never ran, so a script never
runs twice.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from nds_jupyter.engines.base import Container, ContainerStatus, EngineEvent
from nds_jupyter.errors import ContainerNotFound, NdsError, NodeLost
from nds_jupyter.jobs import Job, Reason, utc_now
from nds_jupyter.runner.around import AWAY, RETRY_FIRST, Surroundings
from nds_jupyter.runner.stopping import Stopping
from nds_jupyter.transitions import Exited, NodeGone, Started, StopAsked, Vanished

LOOK_AGAIN = 60.0
"""Seconds after which a running container is inspected even without an event."""


class NeverStarted(Exception):
    """A stop was wanted before the script had started."""


class Script:
    """Sees one script through, from its start to its end.

    Parameters
    ----------
    job_id
        A job that the board holds.
    around
        What it works with.
    """

    def __init__(self, job_id: str, around: Surroundings) -> None:
        self._job_id = job_id
        self._around = around
        self._news = asyncio.Event()
        self._clean_exits: dict[str, Exited] = {}
        self.stopping = Stopping(around.engine, self._news.set)

    def look(self, event: EngineEvent | None = None) -> None:
        """Look at the container: something happened to it, or events may have been missed."""
        # Engines hold a container that has just ended for 50 ms while they tidy up, and it can't be
        # inspected before that. An exit with 0 needs no inspection: it is never out of memory.
        if event is not None and event.action == "die" and event.exit_code == 0:
            clean = Exited(exit_code=0, oom=False, at=event.at)
            self._clean_exits[event.container_id] = clean
        self._news.set()

    @property
    def _job(self) -> Job:
        return self._around.board.under_way_job(self._job_id)

    async def run(self, *, resumed: bool) -> None:
        """Return when the script's end is recorded, or that nobody will ever know it.

        Parameters
        ----------
        resumed
            It may run already, or have ended: look before starting it.

        Raises
        ------
        NeverStarted
            If it is to be stopped, and did not run yet.
        """
        container_id = self._job.container_id
        if container_id is None:
            raise NdsError(f"Job {self._job_id} runs in no container.")
        try:
            looking = resumed or not await self._started(container_id)
            async with self._around.sampler.sampling(self._job_id, container_id):
                while not (looking and await self._ended(container_id)):
                    looking = await self._wait_for_news(container_id)
        finally:
            await self.stopping.close()

    async def _started(self, container_id: str) -> bool:
        """Start the container; False if the engine went away and nobody knows whether it did."""
        try:
            await self._around.engine.start(container_id)
        except AWAY:
            return False
        await self._around.board.apply(self._job_id, Started(at=utc_now()))
        return True

    async def _ended(self, container_id: str) -> bool:
        """Look at the container; True if its end is now recorded."""
        board = self._around.board
        clean_exit = self._clean_exits.get(container_id)
        if clean_exit is not None and self._job.started is not None:
            await board.apply(self._job_id, clean_exit)
            return True
        try:
            container = await self._around.engine.inspect(container_id)
        except ContainerNotFound:
            await board.apply(self._job_id, Vanished(at=utc_now()))
            return True
        except NodeLost as exc:
            await board.apply(self._job_id, NodeGone(message=exc.message, at=utc_now()))
            return True
        except NdsError as exc:
            # Whatever the engine has, the script may be running: nothing is known to have ended.
            self._around.log.debug("Job %s can't be looked at: %s", self._job_id, exc)
            await asyncio.sleep(RETRY_FIRST)
            self._news.set()
            return False
        return await self._took(container)

    async def _took(self, container: Container) -> bool:
        """Record what a container has become; True if that is its end."""
        board = self._around.board
        if container.state is ContainerStatus.CREATED:
            if self.stopping.wanted.is_set():
                raise NeverStarted
            await self._started(container.id)
            return False
        if container.started is not None:
            await board.apply(self._job_id, Started(at=container.started))
        if container.state not in {ContainerStatus.EXITED, ContainerStatus.DEAD}:
            return False
        await board.apply(self._job_id, _exit_of(container))
        return True

    async def _wait_for_news(self, container_id: str) -> bool:
        """Wait for an event, a stop or the time limit; True if the container is to be looked at."""
        self.stopping.carry_out(container_id)
        left = self._time_left()
        if left <= 0:
            event = StopAsked(intent=Reason.TIMEOUT, at=utc_now())
            await self._around.board.apply(self._job_id, event)
            self.stopping.want(self._around.default_grace)
            return False
        try:
            async with asyncio.timeout(min(LOOK_AGAIN, left)):
                await self._news.wait()
        except TimeoutError:
            return True
        self._news.clear()
        return True

    def _time_left(self) -> float:
        """Return the seconds to the time limit, which counts until a stop is wanted."""
        job = self._job
        if job.spec.timeout is None or job.started is None or job.intent is not None:
            return float("inf")
        return (job.started + timedelta(seconds=job.spec.timeout) - utc_now()).total_seconds()


def _exit_of(container: Container) -> Exited:
    return Exited(
        exit_code=-1 if container.exit_code is None else container.exit_code,
        oom=container.oom,
        at=container.finished or utc_now(),
        started=container.started,
    )
