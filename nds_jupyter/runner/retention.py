"""Cleanup of the engine: orphans, and what finished jobs keep past their retention."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import msgspec

from nds_jupyter.archives.tar_conversion import list_entries
from nds_jupyter.data.spool import Spool
from nds_jupyter.engines.base import (
    LABEL_ATTEMPT,
    LABEL_JOB,
    LABEL_OWNER,
    LABEL_SERVER,
    ContainerStatus,
    ContainerSummary,
    Engine,
    Image,
)
from nds_jupyter.engines.cluster import JobPhase, SupportsCleanup
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineUnavailable,
    NdsError,
    NoEndpoint,
    PathNotFound,
)
from nds_jupyter.jobs.job import BUILT_IMAGE_NAME, Job, utc_now
from nds_jupyter.jobs.state_machine import ContainerRemoved, advance
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.logs.lines import read_log_tail
from nds_jupyter.runner.runner_settings import RunnerSettings


class OrphanCleanup:
    """Removal of containers and other objects on the engine that no job in the journal needs."""

    def __init__(self, engine: Engine, journal: JournalThread, log: logging.Logger) -> None:
        self._engine = engine
        self._journal = journal
        self._log = log

    async def remove_orphans(self) -> None:
        """Remove containers that no job needs: deleted ones, and never started ones."""
        rows = await self._engine.containers(
            {LABEL_SERVER: self._journal.server_id}, include_ended=True
        )
        job_ids = [row.labels.get(LABEL_JOB, "") for row in rows]
        jobs = await self._journal.call(Journal.jobs, job_ids)
        for row in rows:
            job_id = row.labels.get(LABEL_JOB, "")
            job = jobs.get(job_id)
            if await self._is_orphan(row, job_id, job):
                self._log.info("The container %s of no job is removed.", row.name)
                await self._engine.remove(row.id)
            elif job is not None and job.is_finished and row.state is ContainerStatus.RUNNING:
                # Its node was given up, and is back.
                self._log.info("The container %s of a job that has ended is stopped.", row.name)
                await self._engine.stop(row.id, 0)
        await self.remove_leftovers()

    async def _is_orphan(self, row: ContainerSummary, job_id: str, job: Job | None) -> bool:
        if job is None:
            owner = row.labels.get(LABEL_OWNER, "")
            deleted = await self._journal.call(Journal.was_deleted, owner, job_id)
            return deleted or row.state is ContainerStatus.CREATED
        # A node may have been away when its container was to be removed.
        is_late = int(row.labels.get(LABEL_ATTEMPT, "1")) < job.attempts
        return is_late or job.removed is not None or (job.is_finished and job.started is None)

    async def remove_leftovers(self) -> None:
        """Remove what jobs left beside containers: a Swarm's networks, volumes and secrets."""
        if isinstance(self._engine, SupportsCleanup):
            removed = await self._engine.remove_leftovers(
                self._journal.server_id, self._find_phases
            )
            if removed:
                self._log.info("%d things that jobs left behind are removed.", removed)

    async def _find_phases(self, owners: Mapping[str, str]) -> Mapping[str, JobPhase]:
        jobs = await self._journal.call(Journal.jobs, list(owners))
        return {
            job_id: await self._find_phase(jobs.get(job_id), job_id, owners) for job_id in owners
        }

    async def _find_phase(
        self, job: Job | None, job_id: str, owners: Mapping[str, str]
    ) -> JobPhase:
        if job is None:
            deleted = await self._journal.call(Journal.was_deleted, owners[job_id], job_id)
            return JobPhase.REMOVED if deleted else JobPhase.ENDED
        if job.removed is not None:
            return JobPhase.REMOVED
        return JobPhase.ENDED if job.is_finished else JobPhase.ACTIVE


MAX_RESULTS = 10_000
"""Entries of the list of results that is kept."""


class Retention:
    """Retention of finished jobs' containers: for some days, and up to some number.

    Parameters
    ----------
    engine, journal
        The containers are on the engine; what outlives them is written to the journal.
    settings
        For how long, how many, and how much of a log outlives its container.
    notify
        Called with each job whose container was removed.
    unfinished
        Returns the jobs that have not ended.
    spool
        Has the files that were sent with jobs; None: there are none.
    """

    def __init__(
        self,
        engine: Engine,
        journal: JournalThread,
        log: logging.Logger,
        settings: RunnerSettings,
        *,
        notify: Callable[[Job], None],
        unfinished: Callable[[], Sequence[Job]],
        spool: Spool | None = None,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._log = log
        self._longest_kept = timedelta(days=settings.keep_days)
        self._most_kept = settings.keep_jobs
        self._log_bytes = settings.keep_log_bytes
        self._notify = notify
        self._unfinished = unfinished
        self._spool = spool

    async def remove_expired(self) -> int:
        """Remove what has expired, oldest first; return how many containers that were."""
        await self._remove_sent_files()
        due = await self._journal.call(
            Journal.with_containers_to_remove, self._most_kept, utc_now() - self._longest_kept
        )
        removed = 0
        for job in due:
            try:
                await self._remove(job)
            except NdsError as exc:
                self._log.warning("The container of job %s stays for now: %s", job.job_id, exc)
                if isinstance(exc, EngineUnavailable | DeadlineExceeded):
                    break
            else:
                removed += 1
        await self._remove_built_images()
        return removed

    async def _remove_sent_files(self) -> None:
        """Remove the files sent with jobs that no job needs any more."""
        if self._spool is None:
            return
        jobs = self._unfinished()
        needed = {(job.owner, each.sha256) for job in jobs for each in job.spec.files}
        try:
            await self._spool.remove_expired(needed)
        except NdsError as exc:
            self._log.warning("Old files of jobs are not removed: %s", exc)

    async def _remove_built_images(self) -> None:
        """Remove the old images that were built here and that no job has a container of."""
        ours = {LABEL_SERVER: self._journal.server_id}
        old = [image for image in await self._engine.images() if self._is_old(image)]
        if not old:
            return
        rows = await self._engine.containers(ours, include_ended=True)
        used = {row.image for row in rows} | {job.spec.run_image for job in self._unfinished()}
        for image in old:
            try:
                for reference in set(image.references) - used:
                    await self._engine.remove_image(reference)
            except NdsError as exc:
                self._log.warning("A built image stays for now: %s", exc)

    def _is_old(self, image: Image) -> bool:
        is_ours = image.labels.get(LABEL_SERVER) == self._journal.server_id
        aged = image.created is None or image.created < utc_now() - self._longest_kept
        built = [name for name in image.references if name.startswith(f"{BUILT_IMAGE_NAME}:")]
        return is_ours and aged and len(built) == len(image.references)

    async def _remove(self, job: Job) -> None:
        if job.container_id is None:
            return
        try:
            await self._store_remains(job, job.container_id)
            await self._engine.remove(job.container_id)
        except ContainerNotFound:
            self._log.debug("The container of job %s was gone already.", job.job_id)
        after = advance(job, ContainerRemoved(at=utc_now()))
        await self._journal.call(Journal.save, after)
        self._notify(after)

    async def _store_remains(self, job: Job, container_id: str) -> None:
        log = await read_log_tail(self._engine, container_id, self._log_bytes)
        await self._journal.call(Journal.save_snapshot, job.job_id, "log", msgspec.json.encode(log))
        # A node without an endpoint has nothing but the log to give.
        with contextlib.suppress(NoEndpoint):
            await self._store_file_lists(job, container_id)

    async def _store_file_lists(self, job: Job, container_id: str) -> None:
        changes = await self._engine.diff(container_id)
        body = msgspec.json.encode(changes)
        await self._journal.call(Journal.save_snapshot, job.job_id, "diff", body)
        with contextlib.suppress(PathNotFound):
            async with contextlib.aclosing(
                self._engine.archive(container_id, "/results")
            ) as archive:
                entries = await list_entries(archive, MAX_RESULTS)
            body = msgspec.json.encode(entries)
            await self._journal.call(Journal.save_snapshot, job.job_id, "results", body)
