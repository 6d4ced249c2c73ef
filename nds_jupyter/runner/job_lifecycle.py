"""Lifecycle of one job from accepted to finished, and the registry of running lifecycles.

Every step can be repeated: after a crash a new lifecycle begins where the journal left off.
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
from nds_jupyter.runner.context import (
    FIRST_RETRY_DELAY,
    MAX_RETRY_DELAY,
    TEMPORARY_ERRORS,
    RunnerContext,
)
from nds_jupyter.runner.data_transfers import InputsFailed, OutputFailed, wants_results
from nds_jupyter.runner.script_run import ProgramNotFound, ScriptNeverStarted, ScriptRun

T = TypeVar("T")


class _StepInterrupted(Exception):
    """The job is to end before its script has started."""


class JobLifecycle:
    """Lifecycle of one job: acquires slots, prepares the container, runs the script, delivers.

    Parameters
    ----------
    job_id
        A job that `context.active_jobs` holds.
    """

    def __init__(self, job_id: str, context: RunnerContext) -> None:
        self.job_id = job_id
        self._context = context
        self._script = ScriptRun(job_id, context)
        self._stop_requested = self._script.stop_request.requested
        self._placement = asyncio.Event()

    def container_placed(self) -> None:
        """Go on with a job that waited for a node: its container has got one."""
        self._placement.set()

    def check_container(self, event: EngineEvent | None = None) -> None:
        """Inspect the container: something happened to it, or events may have been missed."""
        self._script.check_container(event)

    def stop(self, grace: float) -> None:
        """Carry out a stop that the journal has recorded.

        Parameters
        ----------
        grace
            Seconds before the container is killed.
        """
        self._script.stop_request.request(grace)

    @property
    def _job(self) -> Job:
        return self._context.active_jobs.require_active(self.job_id)

    async def run(self) -> None:
        """Run to the end. Cancelling it leaves the job as it is, to be resumed."""
        if self._job.intent is not None:
            self.stop(self._context.default_grace)
        try:
            await self._advance_to_end()
        except (_StepInterrupted, ScriptNeverStarted):
            await self._abort(Reason.STOPPED, "")
        except ImageNotFound as exc:
            code = exc.exit_code if isinstance(exc, ProgramNotFound) else None
            await self._abort(Reason.IMAGE, exc.message, code)
        except InputsFailed as exc:
            await self._abort(Reason.DATA, exc.message)
        except OutputFailed as exc:
            await self._abort(Reason.OUTPUT, exc.message)
        except NdsError as exc:
            self._context.log.warning("Job %s can't go on: %s", self.job_id, exc)
            await self._abort(Reason.ENGINE, exc.message)
        except Exception:  # The job must end, whatever is wrong with us.
            self._context.log.exception("Job %s met a defect of the server.", self.job_id)
            await self._abort(Reason.ENGINE, "The server failed on this job; its log says how.")

    async def _advance_to_end(self) -> None:
        active_jobs = self._context.active_jobs
        if self._job.phase is not Phase.COLLECTING:
            await self._run_script()
        while (job := active_jobs.get(self.job_id)) is not None and job.phase is Phase.ACCEPTED:
            self._context.log.info("Job %s runs again: %s", self.job_id, job.message)
            await self._run_script()
        if active_jobs.get(self.job_id) is not None:
            message = await self._deliver() if wants_results(self._job) else ""
            await active_jobs.apply(self.job_id, OutputsDelivered(at=utc_now(), message=message))

    async def _run_script(self) -> None:
        """Return when the script has ended, or its node or container was lost."""
        resumed = self._job.phase is Phase.RUNNING
        async with contextlib.AsyncExitStack() as stack:
            if resumed:
                await self._acquire_slots(stack, immediately=True)
            else:
                await self._run_unless_stopped(self._acquire_slots(stack, immediately=False))
                resumed = not await self._prepare_container()
            await self._script.run(resumed=resumed)

    async def _deliver(self) -> str:
        """Deliver the results, waiting for an engine that is away; a stop ends it."""
        job = self._job
        if job.intent is Reason.TIMEOUT:
            # That stop is carried out; from now on only somebody who asks sets it again.
            self._stop_requested.clear()
        pause = FIRST_RETRY_DELAY
        while True:
            try:
                delivering = self._context.transfers.deliver_results(job, job.container_id or "")
                return await self._run_unless_stopped(delivering)
            except TEMPORARY_ERRORS as exc:
                self._context.log.info("Job %s waits for the engine: %s", self.job_id, exc)
                await self._run_unless_stopped(asyncio.sleep(pause))
                pause = min(2 * pause, MAX_RETRY_DELAY)
            except OutputFailed as exc:
                if job.exit_code == 0 and job.intent is None:
                    raise
                return exc.message

    async def _acquire_slots(self, stack: contextlib.AsyncExitStack, *, immediately: bool) -> None:
        context, sweep = self._context, self._job.spec.sweep
        await stack.enter_async_context(context.sweep_slots.acquire(sweep, immediately=immediately))
        await stack.enter_async_context(context.slots.acquire(immediately=immediately))

    async def _run_unless_stopped(self, step: Awaitable[T]) -> T:
        """Run a step, cancelled with `_StepInterrupted` as soon as a stop is requested."""
        work = asyncio.ensure_future(step)
        stop = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        if self._stop_requested.is_set():
            if not work.cancelled():
                # Retrieved, so that an error that came with the stop is not "never retrieved".
                work.exception()
            raise _StepInterrupted
        return work.result()

    async def _prepare_container(self) -> bool:
        """Prepare the job's container; False if it has run already, before a crash."""
        container_setup, transfers = self._context.container_setup, self._context.transfers
        pause = FIRST_RETRY_DELAY
        while True:
            try:
                await self._run_unless_stopped(transfers.check_paths(self._job))
                image = await self._run_unless_stopped(container_setup.fetch_image(self._job))
                volume = await self._run_unless_stopped(transfers.find_staging_volume(self._job))
                container_id, new = await container_setup.create_container(self._job, image, volume)
                if new:
                    await self._run_unless_stopped(transfers.stage_inputs(self._job, container_id))
                await container_setup.record_ready(self._job, container_id)
            except NotPlaced as exc:
                event = PlacementDelayed(message=exc.message)
                await self._context.active_jobs.apply(self.job_id, event)
                await self._run_unless_stopped(self._wait_for_placement(pause))
                pause = min(2 * pause, MAX_RETRY_DELAY)
            except TEMPORARY_ERRORS as exc:
                self._context.log.info("Job %s waits for the engine: %s", self.job_id, exc)
                await self._run_unless_stopped(asyncio.sleep(pause))
                pause = min(2 * pause, MAX_RETRY_DELAY)
            else:
                if self._stop_requested.is_set():
                    raise _StepInterrupted
                return new

    async def _wait_for_placement(self, most: float) -> None:
        """Wait until the engine has placed the container, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._placement.wait()
        self._placement.clear()

    async def _abort(self, reason: Reason, message: str, exit_code: int | None = None) -> None:
        """End a job that can't go on: discard its container, then record the end."""
        while True:
            try:
                await self._context.container_setup.discard_container(self.job_id)
            except TEMPORARY_ERRORS:
                await asyncio.sleep(MAX_RETRY_DELAY)
            except NdsError as exc:
                self._context.log.warning("Job %s leaves a container: %s", self.job_id, exc)
                break
            else:
                break
        event = JobAborted(reason=reason, message=message, at=utc_now(), exit_code=exit_code)
        await self._context.active_jobs.apply(self.job_id, event)


class RunningLifecycles:
    """Registry of the running lifecycles: starts them, and passes engine events on to them."""

    def __init__(self, context: RunnerContext) -> None:
        self._context = context
        self._lifecycles: dict[str, JobLifecycle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._lifecycles

    def start(self, job: Job) -> None:
        """Add a job to the active ones and start its lifecycle."""
        self._context.active_jobs.add(job)
        lifecycle = self._lifecycles[job.job_id] = JobLifecycle(job.job_id, self._context)
        task = asyncio.create_task(self._run_lifecycle(lifecycle))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_lifecycle(self, lifecycle: JobLifecycle) -> None:
        try:
            await lifecycle.run()
        except Exception:  # A restart resumes the job.
            self._context.log.exception("Job %s is left as it stands.", lifecycle.job_id)
        finally:
            self._lifecycles.pop(lifecycle.job_id, None)

    def handle_event(self, event: EngineEvent) -> None:
        """Pass an event of a container on to the lifecycle of its job, if that runs."""
        lifecycle = self._lifecycles.get(event.job_id)
        if lifecycle is None:
            return
        if event.action in {"die", "destroy"}:
            lifecycle.check_container(event)
        elif event.action == "start":
            lifecycle.container_placed()

    def check_all_containers(self) -> None:
        """Have every lifecycle inspect its container: events may have been missed."""
        for lifecycle in self._lifecycles.values():
            lifecycle.check_container()

    def stop(self, job_id: str, grace: float) -> None:
        """Carry out a stop that the journal has recorded, if the lifecycle still runs."""
        if (lifecycle := self._lifecycles.get(job_id)) is not None:
            lifecycle.stop(grace)

    async def close(self) -> None:
        """Cancel every lifecycle; jobs stay as they are."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
