"""Removes what is on the engine and no job of this server needs any more."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from nds_jupyter.engines.base import (
    LABEL_ATTEMPT,
    LABEL_JOB,
    LABEL_OWNER,
    LABEL_SERVER,
    ContainerStatus,
    ContainerSummary,
    Engine,
)
from nds_jupyter.engines.cluster import Fate, Tidied
from nds_jupyter.jobs import Job
from nds_jupyter.journal import Journal
from nds_jupyter.journal.thread import JournalThread


class Orphans:
    """Compares the engine with the journal."""

    def __init__(self, engine: Engine, journal: JournalThread, log: logging.Logger) -> None:
        self._engine = engine
        self._journal = journal
        self._log = log

    async def remove(self) -> None:
        """Remove containers that no job needs: deleted ones, and never started ones."""
        rows = await self._engine.containers(
            {LABEL_SERVER: self._journal.server_id}, include_ended=True
        )
        job_ids = [row.labels.get(LABEL_JOB, "") for row in rows]
        jobs = await self._journal.do(Journal.jobs, job_ids)
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
        await self.tidy()

    async def _is_orphan(self, row: ContainerSummary, job_id: str, job: Job | None) -> bool:
        if job is None:
            owner = row.labels.get(LABEL_OWNER, "")
            deleted = await self._journal.do(Journal.was_deleted, owner, job_id)
            return deleted or row.state is ContainerStatus.CREATED
        # A node may have been away when its container was to be removed.
        is_late = int(row.labels.get(LABEL_ATTEMPT, "1")) < job.attempts
        return is_late or job.removed is not None or (job.is_finished and job.started is None)

    async def tidy(self) -> None:
        """Remove what is beside containers: networks, volumes, secrets of an engine of many."""
        if isinstance(self._engine, Tidied):
            removed = await self._engine.tidy(self._journal.server_id, self._fates)
            if removed:
                self._log.info("%d things that jobs left behind are removed.", removed)

    async def _fates(self, owners: Mapping[str, str]) -> Mapping[str, Fate]:
        jobs = await self._journal.do(Journal.jobs, list(owners))
        return {job_id: await self._fate(jobs.get(job_id), job_id, owners) for job_id in owners}

    async def _fate(self, job: Job | None, job_id: str, owners: Mapping[str, str]) -> Fate:
        if job is None:
            deleted = await self._journal.do(Journal.was_deleted, owners[job_id], job_id)
            return Fate.GONE if deleted else Fate.ENDED
        if job.removed is not None:
            return Fate.GONE
        return Fate.ENDED if job.is_finished else Fate.UNDER_WAY
