"""The job runner: submit, stop, delete, rerun, and resuming of jobs at server start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence

from nds_jupyter.data.data_root import DataRoot, UnusableBackend
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.data.spool import Spool
from nds_jupyter.engines.base import Engine, Sample
from nds_jupyter.jobs.job import (
    Job,
    JobSpec,
    Phase,
    Reason,
    container_name,
    new_job_id,
    utc_now,
)
from nds_jupyter.jobs.state_machine import SentToBackground, StopRequested
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import LogLine
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.background_tasks import BackgroundTasks
from nds_jupyter.runner.container_setup import ContainerSetup
from nds_jupyter.runner.context import EngineAvailability, RunnerContext
from nds_jupyter.runner.data_transfers import Transfers
from nds_jupyter.runner.image_builds import ImageBuilds
from nds_jupyter.runner.job_lifecycle import RunningLifecycles
from nds_jupyter.runner.metrics import MetricsSampler
from nds_jupyter.runner.retention import OrphanCleanup, Retention
from nds_jupyter.runner.runner_settings import JobListener, RunnerSettings
from nds_jupyter.runner.slots import Slots, SweepSlots


def _unusable_data_roots() -> DataRoots:
    return DataRoots.of_one(DataRoot(UnusableBackend("These jobs have no data root.")))


class JobRunner:
    """Runner of jobs on an engine, recorded in a journal.

    Parameters
    ----------
    journal, engine
        Closed by the caller, after the runner.
    data_roots
        Inputs come from their owner's and results go there; closed by the caller. None: jobs have
        neither.
    spool
        Has the files that were sent with jobs; closed by the caller. None: there are none.
    """

    def __init__(
        self,
        journal: JournalThread,
        engine: Engine,
        settings: RunnerSettings,
        log: logging.Logger,
        data_roots: DataRoots | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._settings = settings
        self._log = log
        self._listeners: list[JobListener] = []
        self._active_jobs = ActiveJobs(journal, log, self._listeners)
        self._slots = Slots(settings.max_running or None)
        self._metrics_sampler = MetricsSampler(engine, journal, log, self._listeners)
        self._builds = ImageBuilds(engine, journal.server_id)
        self._availability = EngineAvailability(engine)
        context = self._make_context(data_roots or _unusable_data_roots(), spool)
        self._retention = Retention(
            engine,
            journal,
            log,
            settings,
            notify=self._active_jobs.notify_listeners,
            unfinished=self._active_jobs.unfinished,
            spool=spool,
        )
        self._lifecycles = RunningLifecycles(context)
        self._background_tasks = BackgroundTasks(
            context,
            self._lifecycles,
            self._retention,
            OrphanCleanup(engine, journal, log),
            interval=settings.keep_interval,
        )

    def _make_context(self, data_roots: DataRoots, spool: Spool | None) -> RunnerContext:
        active_jobs, engine, settings = self._active_jobs, self._engine, self._settings
        return RunnerContext(
            active_jobs=active_jobs,
            availability=self._availability,
            engine=engine,
            slots=self._slots,
            sweep_slots=SweepSlots(),
            metrics_sampler=self._metrics_sampler,
            container_setup=ContainerSetup(active_jobs, engine, self._journal, self._builds),
            transfers=Transfers(active_jobs, engine, data_roots, settings, spool),
            log=self._log,
            default_grace=settings.grace,
        )

    def add_listener(self, listener: JobListener) -> None:
        """Call a listener after every change from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Resume every unfinished job, and start to follow the engine's events."""
        for job in await self._journal.call(Journal.unfinished):
            if job.job_id in self._lifecycles:
                # It was accepted before this was called: POST works as soon as the journal is open.
                continue
            self._log.info("Job %s is resumed in phase %s.", job.job_id, job.phase)
            self._lifecycles.start(job)
        self._background_tasks.start()

    async def close(self) -> None:
        """Cancel every lifecycle; jobs stay as they are, and containers run on."""
        await asyncio.gather(self._background_tasks.close(), self._lifecycles.close())
        await self._builds.close()

    async def run_cleanup(self) -> int:
        """Remove the containers that have expired, and return how many those were."""
        return await self._background_tasks.clean_up()

    async def submit(
        self, owner: str, spec: JobSpec, script: bytes, key: str | None = None
    ) -> tuple[Job, bool]:
        """Accept a job: it is in the journal when this returns, and nothing slow has happened.

        Parameters
        ----------
        owner
            The user that it belongs to.
        key
            An idempotency key.

        Returns
        -------
        tuple
            The job, and whether it is new (False: the key was used before).

        Raises
        ------
        EngineUnavailable
            If the engine is known to be down; nothing is recorded.
        StorageFull
            If the journal can't be written.
        """
        jobs, new = await self.submit_all(owner, (spec,), script, key)
        return jobs[0], new

    async def submit_all(
        self, owner: str, specs: Sequence[JobSpec], script: bytes, key: str | None = None
    ) -> tuple[list[Job], bool]:
        """Accept jobs of one script, all of them or none; see `submit`."""
        if key is not None and (
            earlier := await self._journal.call(Journal.job_by_key, owner, key)
        ):
            recorded = await self._journal.call(Journal.jobs_of_sweep, earlier)
            return [await self.find_job(job.job_id) for job in recorded], False
        await self._availability.raise_if_down()
        now = utc_now()
        jobs = [Job(job_id=new_job_id(), owner=owner, spec=spec, created=now) for spec in specs]
        recorded = await self._journal.call(Journal.add_all, jobs, script, key)
        if recorded[0].job_id != jobs[0].job_id:
            return [await self.find_job(job.job_id) for job in recorded], False
        for job in jobs:
            self._log.info("Job %s of %s is accepted: %s.", job.job_id, owner, job.spec.image)
            self._lifecycles.start(job)
        return jobs, True

    async def rerun(self, job: Job) -> Job:
        """Accept the same job again, as a new one."""
        script = await self._journal.call(Journal.script, job.job_id)
        again, _ = await self.submit(job.owner, job.spec, script)
        return again

    async def find_job(self, job_id: str) -> Job:
        """Return a job, unfinished or ended."""
        return await self._active_jobs.find_job(job_id)

    def refresh(self, job: Job) -> Job:
        """Return the job with its progress, which only memory has."""
        return self._active_jobs.get(job.job_id) or job

    async def follow_build_log(self, job: Job) -> AsyncGenerator[list[LogLine], None]:
        """Yield the log of the build that a job waits for, until the build's end."""
        if job.spec.build is None:
            return
        await self._active_jobs.wait_until(job.job_id, lambda job: job.phase is not Phase.ACCEPTED)
        async with contextlib.aclosing(self._builds.follow_log(job.spec.build)) as batches:
            async for lines in batches:
                yield lines

    def unfinished(self) -> tuple[Job, ...]:
        """Return every job that has not ended."""
        return self._active_jobs.unfinished()

    @property
    def slot_limit(self) -> int | None:
        """Jobs that run at once; None until the engine has said how many CPUs it has."""
        return self._slots.limit

    async def wait_until(self, job_id: str, condition: Callable[[Job], bool]) -> Job:
        """Wait until a job fulfils a condition or has ended."""
        return await self._active_jobs.wait_until(job_id, condition)

    async def stop(self, job: Job, grace: float | None = None) -> Job:
        """Stop a job and return it; when this returns it has ended.

        Parameters
        ----------
        grace
            Seconds between asking the script to end and killing it.
        """
        grace = self._settings.grace if grace is None else grace
        event = StopRequested(intent=Reason.STOPPED, at=utc_now())
        asked = await self._active_jobs.apply(job.job_id, event, wait_for_disk=False)
        if asked.intent is not None:
            self._lifecycles.stop(job.job_id, grace)
        return await self._active_jobs.wait_until(job.job_id, lambda job: job.is_finished)

    async def send_to_background(self, job: Job) -> Job:
        """Tell the cell that waits for a job to go on; changes nothing once it has ended."""
        return await self._active_jobs.apply(job.job_id, SentToBackground(), wait_for_disk=False)

    async def delete(self, job: Job) -> None:
        """Stop a job if it runs, then remove its container and its record."""
        ended = job if job.is_finished else await self.stop(job)
        if ended.container_id is not None and ended.removed is None:
            await self._engine.remove(container_name(ended.job_id))
        await self._journal.call(Journal.delete, ended)
        self._active_jobs.discard(ended.job_id)
        for listener in self._listeners:
            listener.job_deleted(ended)
        self._log.info("Job %s of %s is deleted.", ended.job_id, ended.owner)

    async def metrics(self, job_id: str) -> tuple[Sample | None, tuple[Sample, ...]]:
        """Return what a job uses now (None if it does not run), and what it used so far."""
        return self._metrics_sampler.latest_sample(job_id), await self._metrics_sampler.history(
            job_id
        )

    def latest_samples(self) -> tuple[Sample, ...]:
        """Return what each running job uses now."""
        return self._metrics_sampler.latest_samples()
