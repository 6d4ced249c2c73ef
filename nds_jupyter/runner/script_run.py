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
from nds_jupyter.runner.context import FIRST_RETRY_DELAY, TEMPORARY_ERRORS, RunnerContext

_NEVER = float("inf")

INSPECT_INTERVAL = 60.0
"""Seconds after which a running container is inspected even without an event."""

READ_LOG_DEADLINE = 10.0
"""Seconds for the last lines of a log that may say why nothing ran."""


class StopRequest:
    """Stop request for one container, sent to the engine until the container has ended.

    Parameters
    ----------
    engine
        Stops the container.
    on_change
        Called when the container should be inspected.

    Attributes
    ----------
    requested
        Set once the job is to end.
    """

    def __init__(self, engine: Engine, on_change: Callable[[], None]) -> None:
        self.requested = asyncio.Event()
        self._engine = engine
        self._on_change = on_change
        self._grace = _NEVER
        self._sent_grace = _NEVER
        self._calls: set[asyncio.Task[None]] = set()

    def request(self, grace: float) -> None:
        """Record that the job is to end.

        Parameters
        ----------
        grace
            Seconds before the container is killed; the shortest that was given counts.
        """
        self._grace = min(self._grace, grace)
        self.requested.set()
        self._on_change()

    def send(self, container_id: str) -> None:
        """Call the engine, unless that was done already with as short a grace."""
        if self._grace < self._sent_grace:
            self._sent_grace = self._grace
            call = asyncio.create_task(self._call_engine(container_id, self._grace))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call_engine(self, container_id: str, grace: float) -> None:
        try:
            await self._engine.stop(container_id, grace)
        except ContainerNotFound:
            pass
        except NdsError:
            await asyncio.sleep(FIRST_RETRY_DELAY)
        # The engine is called again for a container that runs on.
        self._sent_grace = _NEVER
        self._on_change()

    async def close(self) -> None:
        """Cancel the calls to the engine."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


class ScriptNeverStarted(Exception):
    """A stop was requested before the script had started."""


class ProgramNotFound(ImageNotFound):
    """The container ended without having run the script: its image lacks what should run it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ScriptRun:
    """Run of one script: starts its container and waits until its end is recorded.

    Parameters
    ----------
    job_id
        A job that `context.active_jobs` holds.
    """

    def __init__(self, job_id: str, context: RunnerContext) -> None:
        self._job_id = job_id
        self._context = context
        self._changed = asyncio.Event()
        self._clean_exit_events: dict[str, ScriptExited] = {}
        self.stop_request = StopRequest(context.engine, self._changed.set)

    def check_container(self, event: EngineEvent | None = None) -> None:
        """Inspect the container: something happened to it, or events may have been missed."""
        # Engines hold a container that has just ended for 50 ms while they tidy up, and it can't be
        # inspected before that. An exit with 0 needs no inspection: it is never out of memory.
        if event is not None and event.action == "die" and event.exit_code == 0:
            clean = ScriptExited(exit_code=0, oom=False, at=event.at)
            self._clean_exit_events[event.container_id] = clean
        self._changed.set()

    @property
    def _job(self) -> Job:
        return self._context.active_jobs.require_active(self._job_id)

    @property
    def _container_id(self) -> str:
        container_id = self._job.container_id
        if container_id is None:
            raise NdsError(f"Job {self._job_id} runs in no container.")
        return container_id

    async def run(self, *, resumed: bool) -> None:
        """Return when the script's end is recorded, or that nobody will ever know it.

        Parameters
        ----------
        resumed
            It may run already, or have ended: inspect it before starting it.

        Raises
        ------
        ScriptNeverStarted
            If it is to be stopped, and did not run yet.
        ProgramNotFound
            If its container has ended, and could not run it.
        """
        try:
            must_check = resumed or not await self._start(self._container_id)
            async with self._context.metrics_sampler.sample_container(
                self._job_id, self._container_id
            ):
                while not (must_check and await self._check_end(self._container_id)):
                    must_check = await self._wait_for_change(self._container_id)
        finally:
            await self.stop_request.close()

    async def _start(self, container_id: str) -> bool:
        """Start the container; False if it must be inspected: it, or the engine, went away."""
        engine = self._context.engine
        try:
            other = await engine.start(container_id)
            worker = await engine.worker(other) if other else None
        except NotPlaced as exc:
            self._context.log.info("Job %s is let go: %s", self._job_id, exc)
            await asyncio.sleep(FIRST_RETRY_DELAY)
            self._changed.set()
            return False
        except (NodeLost, *TEMPORARY_ERRORS):
            return False
        event = ScriptStarted(at=utc_now(), container_id=other, worker=worker)
        await self._context.active_jobs.apply(self._job_id, event)
        return True

    async def _record_start(self, container: Container) -> None:
        if container.started is None and container.id == self._job.container_id:
            return
        event = ScriptStarted(
            at=container.started or utc_now(), container_id=container.id, worker=container.worker
        )
        await self._context.active_jobs.apply(self._job_id, event)

    async def _check_end(self, container_id: str) -> bool:
        """Inspect the container; True if its end is now recorded."""
        active_jobs = self._context.active_jobs
        exit_event = self._clean_exit_events.get(container_id)
        if exit_event is not None and self._job.started is not None:
            await active_jobs.apply(self._job_id, exit_event)
            return True
        try:
            container = await self._inspect(container_id)
        except ContainerNotFound:
            await active_jobs.apply(self._job_id, ContainerVanished(at=utc_now()))
            return True
        except NodeLost as exc:
            ran = bool(exc.details.get("ran", True))
            await active_jobs.apply(
                self._job_id, NodeWentDown(message=exc.message, at=utc_now(), ran=ran)
            )
            return True
        except NdsError as exc:
            # Whatever the engine has, the script may be running: nothing is known to have ended.
            self._context.log.debug("Job %s can't be looked at: %s", self._job_id, exc)
            await asyncio.sleep(FIRST_RETRY_DELAY)
            self._changed.set()
            return False
        return await self._record_state(container)

    async def _inspect(self, container_id: str) -> Container:
        """Return the container, also one that a Swarm created anew to start the script."""
        engine, job = self._context.engine, self._job
        try:
            return await engine.inspect(container_id)
        except ContainerNotFound:
            container = await engine.inspect(container_name(self._job_id))
            attempt = int(container.labels.get(LABEL_ATTEMPT, "1"))
            if container.labels.get(LABEL_JOB) != self._job_id or attempt != max(1, job.attempts):
                raise
            return container

    async def _record_state(self, container: Container) -> bool:
        """Record the state of a container; True if that is its end."""
        active_jobs = self._context.active_jobs
        if container.state is ContainerStatus.CREATED:
            if self.stop_request.requested.is_set():
                raise ScriptNeverStarted
            # By its name: it may have no container of its own, while it is made anew.
            await self._start(container.name)
            return False
        await self._record_start(container)
        if container.state not in {ContainerStatus.EXITED, ContainerStatus.DEAD}:
            return False
        await self._raise_if_program_missing(container)
        await active_jobs.apply(self._job_id, _exit_event(container))
        return True

    async def _raise_if_program_missing(self, container: Container) -> None:
        """Raise `ProgramNotFound` if the image lacks the program that should have run."""
        code = container.exit_code
        if code is None or code not in missing_program.EXIT_CODES:
            return
        context, job = self._context, self._job
        first_line = await context.container_setup.script_first_line(job)
        log = await self._read_log_end(container)
        if missing_program.is_program_missing(code, log, first_line):
            raise ProgramNotFound(missing_program_message(job.spec, first_line), code)

    async def _read_log_end(self, container: Container) -> bytes:
        """Return the last lines of a log; none where it can't be read: what it says is an extra."""
        request = LogRequest(tail=missing_program.MAX_LINES)
        try:
            async with (
                asyncio.timeout(READ_LOG_DEADLINE),
                contextlib.aclosing(self._context.engine.logs(container.id, request)) as chunks,
            ):
                return b"".join([chunk.data async for chunk in chunks])
        except (NdsError, TimeoutError) as exc:
            self._context.log.debug("The log of job %s can't be read: %s", self._job_id, exc)
            return b""

    async def _wait_for_change(self, container_id: str) -> bool:
        """Wait for an event, a stop or the time limit; True if the container must be inspected."""
        self.stop_request.send(container_id)
        left = self._time_left()
        if left <= 0:
            event = StopRequested(intent=Reason.TIMEOUT, at=utc_now())
            await self._context.active_jobs.apply(self._job_id, event)
            self.stop_request.request(self._context.default_grace)
            return False
        try:
            async with asyncio.timeout(min(INSPECT_INTERVAL, left)):
                await self._changed.wait()
        except TimeoutError:
            return True
        self._changed.clear()
        return True

    def _time_left(self) -> float:
        """Return the seconds to the time limit, which counts until a stop is requested."""
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
