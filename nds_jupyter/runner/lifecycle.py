"""Lifecycle of one job from accepted to finished, and the registry of running lifecycles.

Every step can be repeated: after a crash a new walk begins where the journal stands.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

from nds_jupyter.engines.base import EngineEvent
from nds_jupyter.errors import ImageNotFound, NdsError, NotPlaced
from nds_jupyter.jobs.job import Job, Phase, Reason, utc_now
from nds_jupyter.jobs.state_machine import JobAborted, OutputsDelivered, PlacementDelayed
from nds_jupyter.runner.context import RETRY_FIRST, RETRY_MOST, TEMPORARY_ERRORS, RunnerContext
from nds_jupyter.runner.script_run import ProgramNotFound, ScriptNeverStarted, ScriptRun
from nds_jupyter.runner.transfers import InputsFailed, OutputFailed, wants_results

T = TypeVar("T")


class _StepInterrupted(Exception):
    """The job is to end before its script has started."""


class JobLifecycle:
    """Moves one job.

    Parameters
    ----------
    job_id
        A job that the board holds.
    around
        What it works with.
    """

    def __init__(self, job_id: str, around: RunnerContext) -> None:
        self.job_id = job_id
        self._around = around
        self._script = ScriptRun(job_id, around)
        self._stop = self._script.stopping.wanted
        self._placed = asyncio.Event()

    def placed(self) -> None:
        """Go on with a job that waited for a node: it has got one."""
        self._placed.set()

    def look(self, event: EngineEvent | None = None) -> None:
        """Look at the container: something happened to it, or events may have been missed."""
        self._script.look(event)

    def stop(self, grace: float) -> None:
        """Carry out a stop that the journal has recorded.

        Parameters
        ----------
        grace
            Seconds before the container is killed.
        """
        self._script.stopping.want(grace)

    @property
    def _job(self) -> Job:
        return self._around.board.under_way_job(self.job_id)

    async def run(self) -> None:
        """Walk to the end. Cancelling it leaves the job as it stands, to be resumed."""
        if self._job.intent is not None:
            self.stop(self._around.default_grace)
        try:
            await self._to_the_end()
        except (_StepInterrupted, ScriptNeverStarted):
            await self._break(Reason.STOPPED, "")
        except ImageNotFound as exc:
            code = exc.exit_code if isinstance(exc, ProgramNotFound) else None
            await self._break(Reason.IMAGE, exc.message, code)
        except InputsFailed as exc:
            await self._break(Reason.DATA, exc.message)
        except OutputFailed as exc:
            await self._break(Reason.OUTPUT, exc.message)
        except NdsError as exc:
            self._around.log.warning("Job %s can't go on: %s", self.job_id, exc)
            await self._break(Reason.ENGINE, exc.message)
        except Exception:  # The job must end, whatever is wrong with us.
            self._around.log.exception("Job %s met a defect of the server.", self.job_id)
            await self._break(Reason.ENGINE, "The server failed on this job; its log says how.")

    async def _to_the_end(self) -> None:
        board = self._around.board
        if self._job.phase is not Phase.COLLECTING:
            await self._run_script()
        while (job := board.live(self.job_id)) is not None and job.phase is Phase.ACCEPTED:
            self._around.log.info("Job %s runs again: %s", self.job_id, job.message)
            await self._run_script()
        if board.live(self.job_id) is not None:
            message = await self._deliver() if wants_results(self._job) else ""
            await board.apply(self.job_id, OutputsDelivered(at=utc_now(), message=message))

    async def _run_script(self) -> None:
        """Return when the script has ended, or its node or container was lost."""
        resumed = self._job.phase is Phase.RUNNING
        async with contextlib.AsyncExitStack() as stack:
            if resumed:
                await self._hold_places(stack, at_once=True)
            else:
                await self._unless_stopped(self._hold_places(stack, at_once=False))
                resumed = not await self._make_ready()
            await self._script.run(resumed=resumed)

    async def _deliver(self) -> str:
        """Deliver the results, waiting for an engine that is away; a stop ends it."""
        job = self._job
        if job.intent is Reason.TIMEOUT:
            # That stop is carried out; from now on only somebody who asks sets it again.
            self._stop.clear()
        pause = RETRY_FIRST
        while True:
            try:
                delivering = self._around.transfers.deliver(job, job.container_id or "")
                return await self._unless_stopped(delivering)
            except TEMPORARY_ERRORS as exc:
                self._around.log.info("Job %s waits for the engine: %s", self.job_id, exc)
                await self._unless_stopped(asyncio.sleep(pause))
                pause = min(2 * pause, RETRY_MOST)
            except OutputFailed as exc:
                if job.exit_code == 0 and job.intent is None:
                    raise
                return exc.message

    async def _hold_places(self, stack: contextlib.AsyncExitStack, *, at_once: bool) -> None:
        around, sweep = self._around, self._job.spec.sweep
        await stack.enter_async_context(around.sweep_places.hold(sweep, at_once=at_once))
        await stack.enter_async_context(around.places.hold(at_once=at_once))

    async def _unless_stopped(self, step: Awaitable[T]) -> T:
        """Wait for a step that may be abandoned; `_StepInterrupted` as soon as a stop is wanted."""
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
            raise _StepInterrupted
        return work.result()

    async def _make_ready(self) -> bool:
        """Bring the job to its container; False if that one has run already, before a crash."""
        stage, transfers = self._around.stage, self._around.transfers
        pause = RETRY_FIRST
        while True:
            try:
                await self._unless_stopped(transfers.check(self._job))
                image = await self._unless_stopped(stage.fetch_image(self._job))
                volume = await self._unless_stopped(transfers.folder_to_share(self._job))
                container_id, new = await stage.make_container(self._job, image, volume)
                if new:
                    await self._unless_stopped(transfers.bring(self._job, container_id))
                await stage.announce(self._job, container_id)
            except NotPlaced as exc:
                event = PlacementDelayed(message=exc.message)
                await self._around.board.apply(self.job_id, event)
                await self._unless_stopped(self._until_placed(pause))
                pause = min(2 * pause, RETRY_MOST)
            except TEMPORARY_ERRORS as exc:
                self._around.log.info("Job %s waits for the engine: %s", self.job_id, exc)
                await self._unless_stopped(asyncio.sleep(pause))
                pause = min(2 * pause, RETRY_MOST)
            else:
                if self._stop.is_set():
                    raise _StepInterrupted
                return new

    async def _until_placed(self, most: float) -> None:
        """Wait until the engine tells of a container, but not longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._placed.wait()
        self._placed.clear()

    async def _break(self, reason: Reason, message: str, exit_code: int | None = None) -> None:
        """End a job that can't go on: nothing of it runs on, then the end is recorded."""
        while True:
            try:
                await self._around.stage.discard_container(self.job_id)
            except TEMPORARY_ERRORS:
                await asyncio.sleep(RETRY_MOST)
            except NdsError as exc:
                self._around.log.warning("Job %s leaves a container: %s", self.job_id, exc)
                break
            else:
                break
        event = JobAborted(reason=reason, message=message, at=utc_now(), exit_code=exit_code)
        await self._around.board.apply(self.job_id, event)


class RunningLifecycles:
    """Begins walks, tells them what the engine says, and leaves them when the server ends."""

    def __init__(self, around: RunnerContext) -> None:
        self._around = around
        self._walks: dict[str, JobLifecycle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._walks

    def begin(self, job: Job) -> None:
        """Put a job on the board and let it walk."""
        self._around.board.put(job)
        walk = self._walks[job.job_id] = JobLifecycle(job.job_id, self._around)
        task = asyncio.create_task(self._to_its_end(walk))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _to_its_end(self, walk: JobLifecycle) -> None:
        try:
            await walk.run()
        except Exception:  # A restart resumes the job.
            self._around.log.exception("Job %s is left as it stands.", walk.job_id)
        finally:
            self._walks.pop(walk.job_id, None)

    def tell(self, event: EngineEvent) -> None:
        """Pass on what happened to a container, if its job walks."""
        walk = self._walks.get(event.job_id)
        if walk is None:
            return
        if event.action in {"die", "destroy"}:
            walk.look(event)
        elif event.action == "start":
            walk.placed()

    def look_again(self) -> None:
        """Let every walk look at its container: events may have been missed."""
        for walk in self._walks.values():
            walk.look()

    def stop(self, job_id: str, grace: float) -> None:
        """Carry out a stop that the journal has recorded, if the job still walks."""
        if (walk := self._walks.get(job_id)) is not None:
            walk.stop(grace)

    async def close(self) -> None:
        """Leave every job as it stands."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
