"""Run of a job's script in its container: start, time limit, stop request, end.

A container is started only if the engine says that it was created and never ran, so a script never
runs twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from nds_jupyter.engines import missing_program
from nds_jupyter.engines.base import (
    LABEL_ATTEMPT,
    LABEL_JOB,
    Container,
    ContainerStatus,
    Engine,
    EngineEvent,
    LogRequest,
)
from nds_jupyter.errors import ContainerNotFound, ImageNotFound, NdsError, NodeLost, NotPlaced
from nds_jupyter.jobs.job import Job, Reason, container_name, utc_now
from nds_jupyter.jobs.script import missing_program_message
from nds_jupyter.jobs.state_machine import (
    ContainerVanished,
    NodeWentDown,
    ScriptExited,
    ScriptStarted,
    StopRequested,
)
from nds_jupyter.runner.context import RETRY_FIRST, TEMPORARY_ERRORS, RunnerContext

_NEVER = float("inf")


class StopRequest:
    """Asks an engine to stop a container, again until it has.

    Parameters
    ----------
    engine
        Where the container is.
    look
        Called when the container is worth a look.

    Attributes
    ----------
    wanted
        Set once the job is to end.
    """

    def __init__(self, engine: Engine, look: Callable[[], None]) -> None:
        self.wanted = asyncio.Event()
        self._engine = engine
        self._look = look
        self._grace = _NEVER
        self._asked = _NEVER
        self._calls: set[asyncio.Task[None]] = set()

    def want(self, grace: float) -> None:
        """Let the job end.

        Parameters
        ----------
        grace
            Seconds before the container is killed; the shortest that was given counts.
        """
        self._grace = min(self._grace, grace)
        self.wanted.set()
        self._look()

    def carry_out(self, container_id: str) -> None:
        """Ask the engine, unless it was asked already and with no longer grace."""
        if self._grace < self._asked:
            self._asked = self._grace
            call = asyncio.create_task(self._ask(container_id, self._grace))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _ask(self, container_id: str, grace: float) -> None:
        try:
            await self._engine.stop(container_id, grace)
        except ContainerNotFound:
            pass
        except NdsError:
            await asyncio.sleep(RETRY_FIRST)
        # A container that runs on is asked again.
        self._asked = _NEVER
        self._look()

    async def close(self) -> None:
        """Wait no longer for the engine's answers."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


INSPECT_INTERVAL = 60.0
"""Seconds after which a running container is inspected even without an event."""

READ_LOG_DEADLINE = 10.0
"""Seconds for the last lines of a log that may say why nothing ran."""


class ScriptNeverStarted(Exception):
    """A stop was wanted before the script had started."""


class ProgramNotFound(ImageNotFound):
    """The container ended without having run the script: its image lacks what should run it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ScriptRun:
    """Sees one script through, from its start to its end.

    Parameters
    ----------
    job_id
        A job that the board holds.
    around
        What it works with.
    """

    def __init__(self, job_id: str, around: RunnerContext) -> None:
        self._job_id = job_id
        self._around = around
        self._news = asyncio.Event()
        self._clean_exits: dict[str, ScriptExited] = {}
        self.stopping = StopRequest(around.engine, self._news.set)

    def look(self, event: EngineEvent | None = None) -> None:
        """Look at the container: something happened to it, or events may have been missed."""
        # Engines hold a container that has just ended for 50 ms while they tidy up, and it can't be
        # inspected before that. An exit with 0 needs no inspection: it is never out of memory.
        if event is not None and event.action == "die" and event.exit_code == 0:
            clean = ScriptExited(exit_code=0, oom=False, at=event.at)
            self._clean_exits[event.container_id] = clean
        self._news.set()

    @property
    def _job(self) -> Job:
        return self._around.board.under_way_job(self._job_id)

    @property
    def _container_id(self) -> str:
        found = self._job.container_id
        if found is None:
            raise NdsError(f"Job {self._job_id} runs in no container.")
        return found

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
        NoProgram
            If its container has ended, and could not run it.
        """
        try:
            looking = resumed or not await self._started(self._container_id)
            async with self._around.sampler.sampling(self._job_id, self._container_id):
                while not (looking and await self._ended(self._container_id)):
                    looking = await self._wait_for_news(self._container_id)
        finally:
            await self.stopping.close()

    async def _started(self, container_id: str) -> bool:
        """Start the container; False if that is to be looked at: it, or the engine, went away."""
        engine = self._around.engine
        try:
            other = await engine.start(container_id)
            worker = await engine.worker(other) if other else None
        except NotPlaced as exc:
            self._around.log.info("Job %s is let go: %s", self._job_id, exc)
            await asyncio.sleep(RETRY_FIRST)
            self._news.set()
            return False
        except (NodeLost, *TEMPORARY_ERRORS):
            return False
        event = ScriptStarted(at=utc_now(), container_id=other, worker=worker)
        await self._around.board.apply(self._job_id, event)
        return True

    async def _record_start(self, container: Container) -> None:
        if container.started is None and container.id == self._job.container_id:
            return
        event = ScriptStarted(
            at=container.started or utc_now(), container_id=container.id, worker=container.worker
        )
        await self._around.board.apply(self._job_id, event)

    async def _ended(self, container_id: str) -> bool:
        """Look at the container; True if its end is now recorded."""
        board = self._around.board
        clean_exit = self._clean_exits.get(container_id)
        if clean_exit is not None and self._job.started is not None:
            await board.apply(self._job_id, clean_exit)
            return True
        try:
            container = await self._inspect(container_id)
        except ContainerNotFound:
            await board.apply(self._job_id, ContainerVanished(at=utc_now()))
            return True
        except NodeLost as exc:
            ran = bool(exc.details.get("ran", True))
            await board.apply(
                self._job_id, NodeWentDown(message=exc.message, at=utc_now(), ran=ran)
            )
            return True
        except NdsError as exc:
            # Whatever the engine has, the script may be running: nothing is known to have ended.
            self._around.log.debug("Job %s can't be looked at: %s", self._job_id, exc)
            await asyncio.sleep(RETRY_FIRST)
            self._news.set()
            return False
        return await self._took(container)

    async def _inspect(self, container_id: str) -> Container:
        """Return the container, also one that was made anew, on a Swarm, to let the script go."""
        engine, job = self._around.engine, self._job
        try:
            return await engine.inspect(container_id)
        except ContainerNotFound:
            there = await engine.inspect(container_name(self._job_id))
            attempt = int(there.labels.get(LABEL_ATTEMPT, "1"))
            if there.labels.get(LABEL_JOB) != self._job_id or attempt != max(1, job.attempts):
                raise
            return there

    async def _took(self, container: Container) -> bool:
        """Record what a container has become; True if that is its end."""
        board = self._around.board
        if container.state is ContainerStatus.CREATED:
            if self.stopping.wanted.is_set():
                raise ScriptNeverStarted
            # By its name: it may have no container of its own, while it is made anew.
            await self._started(container.name)
            return False
        await self._record_start(container)
        if container.state not in {ContainerStatus.EXITED, ContainerStatus.DEAD}:
            return False
        await self._refuse_unless_it_ran(container)
        await board.apply(self._job_id, _exit_event(container))
        return True

    async def _refuse_unless_it_ran(self, container: Container) -> None:
        """Raise `ProgramNotFound` if the image lacks the program that should have run."""
        code = container.exit_code
        if code is None or code not in missing_program.EXIT_CODES:
            return
        around, job = self._around, self._job
        first_line = await around.stage.first_line(job)
        log = await self._end_of_log(container)
        if missing_program.is_program_missing(code, log, first_line):
            raise ProgramNotFound(missing_program_message(job.spec, first_line), code)

    async def _end_of_log(self, container: Container) -> bytes:
        """Return the last lines of a log; none where it can't be read: what it says is an extra."""
        request = LogRequest(tail=missing_program.MAX_LINES)
        try:
            async with (
                asyncio.timeout(READ_LOG_DEADLINE),
                contextlib.aclosing(self._around.engine.logs(container.id, request)) as chunks,
            ):
                return b"".join([chunk.data async for chunk in chunks])
        except (NdsError, TimeoutError) as exc:
            self._around.log.debug("The log of job %s can't be read: %s", self._job_id, exc)
            return b""

    async def _wait_for_news(self, container_id: str) -> bool:
        """Wait for an event, a stop or the time limit; True if the container is to be looked at."""
        self.stopping.carry_out(container_id)
        left = self._time_left()
        if left <= 0:
            event = StopRequested(intent=Reason.TIMEOUT, at=utc_now())
            await self._around.board.apply(self._job_id, event)
            self.stopping.want(self._around.default_grace)
            return False
        try:
            async with asyncio.timeout(min(INSPECT_INTERVAL, left)):
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


def _exit_event(container: Container) -> ScriptExited:
    return ScriptExited(
        exit_code=-1 if container.exit_code is None else container.exit_code,
        oom=container.oom,
        at=container.finished or utc_now(),
        started=container.started,
    )
