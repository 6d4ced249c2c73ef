"""Registry of the unfinished jobs; every transition is in the journal before anyone sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from nds_jupyter.errors import JobNotFound, StorageFull
from nds_jupyter.jobs.job import Job
from nds_jupyter.jobs.state_machine import (
    BuildOutputReceived,
    JobEvent,
    TransferProgressed,
    advance,
)
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner.runner_settings import JobListener

WRITE_RETRY_DELAY = 2.0
"""Seconds between attempts to write a transition to a full disk."""


class ActiveJobs:
    """Registry of the jobs that have not ended, with write-ahead to the journal.

    Parameters
    ----------
    journal
        Transitions are written to it before they take effect.
    log
        Errors of the journal are logged to it.
    listeners
        Called after every change.
    """

    def __init__(
        self, journal: JournalThread, log: logging.Logger, listeners: Sequence[JobListener] = ()
    ) -> None:
        self._journal = journal
        self._log = log
        self._listeners = listeners
        self._jobs: dict[str, Job] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._disk_full: StorageFull | None = None
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}

    def add(self, job: Job) -> None:
        """Add a job that the journal has."""
        self._jobs[job.job_id] = job
        self._locks[job.job_id] = asyncio.Lock()
        self.notify_listeners(job)

    def notify_listeners(self, job: Job) -> None:
        """Call every listener with a changed job."""
        for listener in self._listeners:
            listener.job_changed(job)

    def discard(self, job_id: str) -> None:
        """Remove a job, and wake who waits for it."""
        self._remove(job_id)
        self._wake_waiters(job_id)

    def get(self, job_id: str) -> Job | None:
        """Return an unfinished job, with its progress; None if it has ended or is not known."""
        return self._jobs.get(job_id)

    def unfinished(self) -> tuple[Job, ...]:
        """Return every job that has not ended."""
        return tuple(self._jobs.values())

    async def find_job(self, job_id: str) -> Job:
        """Return a job, unfinished or ended."""
        job = self._jobs.get(job_id) or await self._journal.call(Journal.job, job_id)
        if job is None:
            raise JobNotFound(f"No job has the id {job_id}.")
        return job

    def require_active(self, job_id: str) -> Job:
        """Return a job that must be unfinished.

        Raises
        ------
        JobNotFound
            If it has ended, or was deleted.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise JobNotFound(f"Job {job_id} is no longer under way.")
        return job

    async def apply(self, job_id: str, event: JobEvent, *, wait_for_disk: bool = True) -> Job:
        """Apply an event to a job; return once the transition is in the journal.

        Parameters
        ----------
        wait_for_disk
            Wait until a full disk has space; else `StorageFull` is raised and nothing has changed.
        """
        lock = self._locks.get(job_id)
        if lock is None:
            return await self.find_job(job_id)
        if not wait_for_disk and lock.locked() and self._disk_full is not None:
            raise self._disk_full
        async with lock:
            job = self._jobs.get(job_id)
            after = None if job is None else advance(job, event)
            if after is not None and after != job:
                # Progress is not worth a write: after a crash the transfer begins again.
                if not isinstance(event, TransferProgressed | BuildOutputReceived):
                    await self._write(after, wait_for_disk=wait_for_disk)
                self._publish(after)
        return await self.find_job(job_id) if after is None else after

    def _publish(self, after: Job) -> None:
        if after.job_id not in self._jobs:
            return
        self._jobs[after.job_id] = after
        if after.is_finished:
            self._remove(after.job_id)
        self._wake_waiters(after.job_id)
        self.notify_listeners(after)

    def _remove(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
        self._locks.pop(job_id, None)

    async def _write(self, job: Job, *, wait_for_disk: bool) -> None:
        while True:
            try:
                await self._journal.call(Journal.save, job)
            except StorageFull as exc:
                if not wait_for_disk:
                    raise
                if self._disk_full is None:
                    self._log.error("Job %s waits for the disk: %s", job.job_id, exc)
                self._disk_full = exc
                await asyncio.sleep(WRITE_RETRY_DELAY)
            else:
                self._disk_full = None
                return

    def _wake_waiters(self, job_id: str) -> None:
        for future in self._waiters.pop(job_id, ()):
            if not future.done():
                future.set_result(None)

    async def wait_until(self, job_id: str, condition: Callable[[Job], bool]) -> Job:
        """Wait until a job fulfils a condition or has ended, and return it.

        Raises
        ------
        JobNotFound
            If it is deleted meanwhile.
        """
        while True:
            job = self._jobs.get(job_id)
            if job is None:
                return await self.find_job(job_id)
            if condition(job):
                return job
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiters = self._waiters.setdefault(job_id, [])
            waiters.append(future)
            try:
                await future
            finally:
                # Who gave up waiting must not be remembered until the job ends.
                with contextlib.suppress(ValueError):
                    waiters.remove(future)
