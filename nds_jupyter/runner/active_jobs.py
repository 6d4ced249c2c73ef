"""Active jobs in memory; every transition is written to the journal before it shows."""

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
from nds_jupyter.runner.settings import JobListener

WRITE_RETRY_DELAY = 2.0
"""Seconds between attempts to write a transition to a full disk."""


class ActiveJobs:
    """Live jobs in memory, every transition in the journal first.

    Parameters
    ----------
    journal
        Where transitions are written.
    log
        Where trouble with the journal is told.
    listeners
        Who is told of every change, once it is written.
    """

    def __init__(
        self, journal: JournalThread, log: logging.Logger, listeners: Sequence[JobListener] = ()
    ) -> None:
        self._journal = journal
        self._log = log
        self._listeners = listeners
        self._live: dict[str, Job] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._full: StorageFull | None = None
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def put(self, job: Job) -> None:
        """Begin to hold a job that the journal has."""
        self._live[job.job_id] = job
        self._turns[job.job_id] = asyncio.Lock()
        self.tell(job)

    def tell(self, job: Job) -> None:
        """Tell the listeners what a job has become."""
        for listener in self._listeners:
            listener.job_changed(job)

    def drop(self, job_id: str) -> None:
        """Stop holding a job, and tell who waits for it."""
        self._forget(job_id)
        self._wake(job_id)

    def live(self, job_id: str) -> Job | None:
        """Return a job under way, with its progress; None if it has ended or is not known."""
        return self._live.get(job_id)

    def under_way(self) -> tuple[Job, ...]:
        """Return every job that has not ended."""
        return tuple(self._live.values())

    def count_live(self) -> int:
        """Return how many jobs have not ended."""
        return len(self._live)

    async def job(self, job_id: str) -> Job:
        """Return a job, under way or ended."""
        job = self._live.get(job_id) or await self._journal.do(Journal.job, job_id)
        if job is None:
            raise JobNotFound(f"No job has the id {job_id}.")
        return job

    def under_way_job(self, job_id: str) -> Job:
        """Return a job that must not have ended.

        Raises
        ------
        JobNotFound
            If it has, or was deleted.
        """
        job = self._live.get(job_id)
        if job is None:
            raise JobNotFound(f"Job {job_id} is no longer under way.")
        return job

    async def apply(self, job_id: str, event: JobEvent, *, patient: bool = True) -> Job:
        """Move a job by an event; returns once the transition is in the journal.

        Parameters
        ----------
        patient
            Wait for a full disk; else `StorageFull` is raised and nothing has changed.
        """
        turn = self._turns.get(job_id)
        if turn is None:
            return await self.job(job_id)
        if not patient and turn.locked() and self._full is not None:
            raise self._full
        async with turn:
            job = self._live.get(job_id)
            after = None if job is None else advance(job, event)
            if after is not None and after != job:
                # Progress is not worth a write: after a crash the transfer begins again.
                if not isinstance(event, TransferProgressed | BuildOutputReceived):
                    await self._write(after, patient=patient)
                self._show(after)
        return await self.job(job_id) if after is None else after

    def _show(self, after: Job) -> None:
        if after.job_id not in self._live:
            return
        self._live[after.job_id] = after
        if after.is_finished:
            self._forget(after.job_id)
        self._wake(after.job_id)
        self.tell(after)

    def _forget(self, job_id: str) -> None:
        self._live.pop(job_id, None)
        self._turns.pop(job_id, None)

    async def _write(self, job: Job, *, patient: bool) -> None:
        while True:
            try:
                await self._journal.do(Journal.save, job)
            except StorageFull as exc:
                if not patient:
                    raise
                if self._full is None:
                    self._log.error("Job %s waits for the disk: %s", job.job_id, exc)
                self._full = exc
                await asyncio.sleep(WRITE_RETRY_DELAY)
            else:
                self._full = None
                return

    def _wake(self, job_id: str) -> None:
        for future in self._waiting.pop(job_id, ()):
            if not future.done():
                future.set_result(None)

    async def until(self, job_id: str, reached: Callable[[Job], bool]) -> Job:
        """Wait until a job fulfils a condition or has ended, and return it.

        Raises
        ------
        JobNotFound
            If it is deleted meanwhile.
        """
        while True:
            job = self._live.get(job_id)
            if job is None:
                return await self.job(job_id)
            if reached(job):
                return job
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(job_id, [])
            waiting.append(future)
            try:
                await future
            finally:
                # Who gave up waiting must not be remembered until the job ends.
                with contextlib.suppress(ValueError):
                    waiting.remove(future)
