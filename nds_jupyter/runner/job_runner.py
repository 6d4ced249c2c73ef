"""The job runner: submit, stop, delete, rerun, and resuming of jobs at server start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence

from nds_jupyter.data.data_root import DataRoot, UnusableBackend
from nds_jupyter.data.spool import Spool
from nds_jupyter.engines.base import Engine, Sample
from nds_jupyter.jobs.job import Job, JobSpec, Phase, Reason, container_name, new_job_id, utc_now
from nds_jupyter.jobs.state_machine import SentToBackground, StopRequested
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import LogLine
from nds_jupyter.runner.active_jobs import ActiveJobs
from nds_jupyter.runner.background_tasks import BackgroundTasks
from nds_jupyter.runner.cleanup import OrphanCleanup, Retention
from nds_jupyter.runner.container_setup import ContainerSetup
from nds_jupyter.runner.context import EngineAvailability, RunnerContext
from nds_jupyter.runner.image_builds import ImageBuilds
from nds_jupyter.runner.lifecycle import RunningLifecycles
from nds_jupyter.runner.metrics import MetricsSampler
from nds_jupyter.runner.settings import JobListener, RunnerSettings
from nds_jupyter.runner.slots import Slots, SweepSlots
from nds_jupyter.runner.transfers import Transfers


def _no_data() -> DataRoot:
    return DataRoot(UnusableBackend("These jobs have no data root."))


class JobRunner:
    """Runs jobs on an engine and records them in a journal.

    Parameters
    ----------
    journal
        Closed by its maker, after the runner.
    engine
        Closed by its maker, after the runner.
    data
        Where inputs come from and results go; closed by its maker. None: jobs have neither.
    spool
        Where files are that were sent with jobs; closed by its maker. None: there are none.
    """

    def __init__(
        self,
        journal: JournalThread,
        engine: Engine,
        settings: RunnerSettings,
        log: logging.Logger,
        data: DataRoot | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._settings = settings
        self._log = log
        self._listeners: list[JobListener] = []
        self._board = ActiveJobs(journal, log, self._listeners)
        self._places = Slots(settings.max_running or None)
        self._sampler = MetricsSampler(engine, journal, log, self._listeners)
        self._builds = ImageBuilds(engine, journal.server_id)
        around = RunnerContext(
            board=self._board,
            engine=engine,
            places=self._places,
            sweep_places=SweepSlots(),
            sampler=self._sampler,
            stage=ContainerSetup(self._board, engine, journal, self._builds),
            transfers=Transfers(self._board, engine, data or _no_data(), settings, spool),
            log=log,
            default_grace=settings.grace,
        )
        self._retention = Retention(
            engine,
            journal,
            log,
            settings,
            tell=self._board.tell,
            under_way=self._board.under_way,
            spool=spool,
        )
        self._reach = EngineAvailability(engine)
        self._walks = RunningLifecycles(around)
        self._duties = BackgroundTasks(
            around,
            self._walks,
            self._reach,
            self._retention,
            OrphanCleanup(engine, journal, log),
            interval=settings.keep_interval,
        )

    def listen(self, listener: JobListener) -> None:
        """Tell somebody of every change from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Resume every job that has not ended, and begin to watch the engine."""
        for job in await self._journal.do(Journal.unfinished):
            if job.job_id in self._walks:
                # It was accepted before this was called: POST works as soon as the journal is open.
                continue
            self._log.info("Job %s is resumed in phase %s.", job.job_id, job.phase)
            self._walks.begin(job)
        self._duties.start()

    async def close(self) -> None:
        """Leave every job as it stands; containers run on."""
        await asyncio.gather(self._duties.close(), self._walks.close())
        await self._builds.close()

    async def sweep(self) -> int:
        """Remove the containers that are due now, and return how many those were."""
        return await self._duties.sweep()

    async def submit(
        self, owner: str, spec: JobSpec, script: bytes, key: str | None = None
    ) -> tuple[Job, bool]:
        """Accept a job: it is in the journal when this returns, and nothing slow has happened.

        Parameters
        ----------
        owner
            To whom it belongs.
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
        if key is not None and (earlier := await self._journal.do(Journal.of_key, owner, key)):
            recorded = await self._journal.do(Journal.of_sweep, earlier)
            return [await self.job(job.job_id) for job in recorded], False
        await self._reach.refuse_if_down()
        now = utc_now()
        jobs = [Job(job_id=new_job_id(), owner=owner, spec=spec, created=now) for spec in specs]
        recorded = await self._journal.do(Journal.add_all, jobs, script, key)
        if recorded[0].job_id != jobs[0].job_id:
            return [await self.job(job.job_id) for job in recorded], False
        for job in jobs:
            self._log.info("Job %s of %s is accepted: %s.", job.job_id, owner, job.spec.image)
            self._walks.begin(job)
        return jobs, True

    async def rerun(self, job: Job) -> Job:
        """Accept the same job again, as a new one."""
        script = await self._journal.do(Journal.script, job.job_id)
        again, _ = await self.submit(job.owner, job.spec, script)
        return again

    async def job(self, job_id: str) -> Job:
        """Return a job as it stands."""
        return await self._board.job(job_id)

    def latest(self, job: Job) -> Job:
        """Return the job with the progress that only memory has."""
        return self._board.live(job.job_id) or job

    async def build_log(self, job: Job) -> AsyncGenerator[list[LogLine], None]:
        """Give the log of the build that a job waits for, until the build's end."""
        if job.spec.build is None:
            return
        await self._board.until(job.job_id, lambda job: job.phase is not Phase.ACCEPTED)
        async with contextlib.aclosing(self._builds.log(job.spec.build)) as batches:
            async for lines in batches:
                yield lines

    def under_way(self) -> tuple[Job, ...]:
        """Return every job that has not ended."""
        return self._board.under_way()

    @property
    def places(self) -> int | None:
        """Jobs that run at once; None until the engine has said how many CPUs it has."""
        return self._places.limit

    async def until(self, job_id: str, reached: Callable[[Job], bool]) -> Job:
        """Wait until a job fulfils a condition or has ended."""
        return await self._board.until(job_id, reached)

    async def stop(self, job: Job, grace: float | None = None) -> Job:
        """Stop a job and return it; when this returns it has ended.

        Parameters
        ----------
        grace
            Seconds between asking the script to end and killing it.
        """
        grace = self._settings.grace if grace is None else grace
        event = StopRequested(intent=Reason.STOPPED, at=utc_now())
        asked = await self._board.apply(job.job_id, event, patient=False)
        if asked.intent is not None:
            self._walks.stop(job.job_id, grace)
        return await self._board.until(job.job_id, lambda job: job.is_finished)

    async def send_to_background(self, job: Job) -> Job:
        """Let who waits for a job go on without it; changes nothing once it has ended."""
        return await self._board.apply(job.job_id, SentToBackground(), patient=False)

    async def delete(self, job: Job) -> None:
        """Stop a job if it runs, then remove its container and its record."""
        ended = job if job.is_finished else await self.stop(job)
        if ended.container_id is not None and ended.removed is None:
            await self._engine.remove(container_name(ended.job_id))
        await self._journal.do(Journal.delete, ended)
        self._board.drop(ended.job_id)
        for listener in self._listeners:
            listener.job_deleted(ended)
        self._log.info("Job %s of %s is deleted.", ended.job_id, ended.owner)

    async def samples(self, job_id: str) -> tuple[Sample | None, tuple[Sample, ...]]:
        """Return what a job uses now (None if it does not run), and what it used so far."""
        return self._sampler.now(job_id), await self._sampler.history(job_id)

    def newest_samples(self) -> tuple[Sample, ...]:
        """Return what each running job uses now."""
        return self._sampler.newest()
