"""One job's way from accepted to finished.

Every step can be repeated: after a crash a new walk begins where the journal stands. A container is
started only if the engine says that it was created and never ran, so a script never runs twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

import msgspec

from nds_jupyter.engines.base import Container, ContainerStatus, Engine, EngineEvent
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineUnavailable,
    ImageNotFound,
    NdsError,
)
from nds_jupyter.jobs import (
    Broke,
    Delivered,
    Exited,
    Job,
    Phase,
    Reason,
    Started,
    StopAsked,
    Vanished,
    utc_now,
)
from nds_jupyter.runner.board import Board
from nds_jupyter.runner.places import Places
from nds_jupyter.runner.sampler import Sampler
from nds_jupyter.runner.stage import Stage

T = TypeVar("T")

LOOK_AGAIN = 60.0
"""Seconds after which a running container is inspected even without an event."""

RETRY_FIRST, RETRY_MOST = 0.2, 5.0
"""Seconds between attempts to reach an engine that does not answer."""

_AWAY = (EngineUnavailable, DeadlineExceeded)


class _StopWanted(Exception):
    """The job is to end before its script has started."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What every walk needs."""

    board: Board
    engine: Engine
    places: Places
    sampler: Sampler
    stage: Stage
    log: logging.Logger
    default_grace: float


class Walk:
    """Moves one job.

    Parameters
    ----------
    job_id
        A job that the board holds.
    around
        What it works with.
    """

    def __init__(self, job_id: str, around: Surroundings) -> None:
        self.job_id = job_id
        self.grace = around.default_grace
        self._around = around
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._stop_sent = False
        self._clean_exit: Exited | None = None

    def look(self, event: EngineEvent | None = None) -> None:
        """Look at the container: something happened to it, or events may have been missed."""
        # Engines hold a container that has just ended for 50 ms while they tidy up, and it can't be
        # inspected before that. An exit with 0 needs no inspection: it is never out of memory.
        if event is not None and event.action == "die" and event.exit_code == 0:
            self._clean_exit = Exited(exit_code=0, oom=False, at=event.at)
        self._news.set()

    def stop(self, grace: float) -> None:
        """Carry out a stop that the journal has recorded.

        Parameters
        ----------
        grace
            Seconds before the container is killed.
        """
        self.grace = grace
        self._stop.set()

    @property
    def _job(self) -> Job:
        job = self._around.board.live(self.job_id)
        if job is None:
            raise NdsError(f"Job {self.job_id} is no longer under way.")
        return job

    async def run(self) -> None:
        """Walk to the end. Cancelling it leaves the job as it stands, to be resumed."""
        if self._job.intent is not None:
            self._stop.set()
        try:
            await self._to_the_end()
        except _StopWanted:
            await self._break(Reason.STOPPED, "")
        except ImageNotFound as exc:
            await self._break(Reason.IMAGE, exc.message)
        except NdsError as exc:
            self._around.log.warning("Job %s can't go on: %s", self.job_id, exc)
            await self._break(Reason.ENGINE, exc.message)
        except Exception:  # The job must end, whatever is wrong with us.
            self._around.log.exception("Job %s met a defect of the server.", self.job_id)
            await self._break(Reason.ENGINE, "The server failed on this job; its log says how.")

    async def _to_the_end(self) -> None:
        resumed = self._job.phase is Phase.RUNNING
        if self._job.phase is not Phase.COLLECTING:
            async with contextlib.AsyncExitStack() as stack:
                place = stack.enter_async_context(self._around.places.hold(at_once=resumed))
                if resumed:
                    await place
                else:
                    await self._unless_stopped(place)
                    await self._make_ready()
                await self._run_script(resumed=resumed)
        if self._around.board.live(self.job_id) is not None:
            await self._around.board.apply(self.job_id, Delivered(at=utc_now()))

    async def _unless_stopped(self, step: Awaitable[T]) -> T:
        """Wait for a step that may be abandoned; `_StopWanted` as soon as a stop is wanted."""
        work = asyncio.ensure_future(step)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        if self._stop.is_set():
            if not work.cancelled():
                # Retrieved, so that an error that came with the stop is not "never retrieved".
                work.exception()
            raise _StopWanted
        return work.result()

    async def _make_ready(self) -> None:
        stage = self._around.stage
        pause = RETRY_FIRST
        while True:
            try:
                image = await self._unless_stopped(stage.fetch_image(self._job))
                await stage.fill_container(self._job, image)
            except _AWAY as exc:
                self._around.log.info("Job %s waits for the engine: %s", self.job_id, exc)
                await self._unless_stopped(asyncio.sleep(pause))
                pause = min(2 * pause, RETRY_MOST)
            else:
                if self._stop.is_set():
                    raise _StopWanted
                return

    async def _run_script(self, *, resumed: bool) -> None:
        container_id = self._job.container_id
        if container_id is None:
            raise NdsError(f"Job {self.job_id} runs in no container.")
        looking = resumed or not await self._started(container_id)
        async with self._around.sampler.sampling(self.job_id, container_id):
            while True:
                if looking and await self._ended(container_id):
                    return
                looking = await self._wait_for_news(container_id)

    async def _started(self, container_id: str) -> bool:
        """Start the container; False if the engine went away and nobody knows whether it did."""
        try:
            await self._around.engine.start(container_id)
        except _AWAY:
            return False
        await self._around.board.apply(self.job_id, Started(at=utc_now()))
        return True

    async def _ended(self, container_id: str) -> bool:
        """Look at the container; True if its end is now recorded."""
        board = self._around.board
        if self._clean_exit is not None and self._job.started is not None:
            await board.apply(self.job_id, self._clean_exit)
            return True
        try:
            container = await self._around.engine.inspect(container_id)
        except ContainerNotFound:
            await board.apply(self.job_id, Vanished(at=utc_now()))
            return True
        except _AWAY:
            await asyncio.sleep(RETRY_FIRST)
            self._news.set()
            return False
        if container.state is ContainerStatus.CREATED:
            if self._stop.is_set():
                raise _StopWanted
            await self._started(container_id)
            return False
        if container.started is not None:
            await board.apply(self.job_id, Started(at=container.started))
        if container.state not in {ContainerStatus.EXITED, ContainerStatus.DEAD}:
            return False
        await board.apply(self.job_id, _exit_of(container))
        return True

    async def _wait_for_news(self, container_id: str) -> bool:
        """Wait for an event, a stop or the time limit; True if the container is to be looked at."""
        job = self._job
        if self._stop.is_set() and not self._stop_sent:
            return await self._send_stop(container_id)
        wait = LOOK_AGAIN
        if job.spec.timeout is not None and job.started is not None and job.intent is None:
            left = job.started + timedelta(seconds=job.spec.timeout) - utc_now()
            wait = min(wait, left.total_seconds())
            if wait <= 0:
                await self._around.board.apply(
                    self.job_id, StopAsked(intent=Reason.TIMEOUT, at=utc_now())
                )
                self._stop.set()
                return False
        waits = [asyncio.ensure_future(self._news.wait())]
        if not self._stop_sent:
            waits.append(asyncio.ensure_future(self._stop.wait()))
        try:
            await asyncio.wait(waits, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()
        self._news.clear()
        return True

    async def _send_stop(self, container_id: str) -> bool:
        try:
            await self._around.engine.stop(container_id, self.grace)
            self._stop_sent = True
        except ContainerNotFound:
            self._stop_sent = True
        except _AWAY:
            await asyncio.sleep(RETRY_FIRST)
        return True

    async def _break(self, reason: Reason, message: str) -> None:
        """End a job whose script never ran: no container is left, then the end is recorded."""
        while True:
            try:
                await self._around.stage.discard_container(self.job_id)
            except _AWAY:
                await asyncio.sleep(RETRY_MOST)
            except NdsError as exc:
                self._around.log.warning("Job %s leaves a container: %s", self.job_id, exc)
                break
            else:
                break
        event = Broke(reason=reason, message=message, at=utc_now())
        await self._around.board.apply(self.job_id, event)


def _exit_of(container: Container) -> Exited:
    return Exited(
        exit_code=-1 if container.exit_code is None else container.exit_code,
        oom=container.oom,
        at=container.finished or utc_now(),
        started=container.started,
    )
