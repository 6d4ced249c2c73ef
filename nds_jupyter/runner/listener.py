"""Who is told what becomes of the jobs."""

from __future__ import annotations

from typing import Protocol

from nds_jupyter.engines.base import Sample
from nds_jupyter.jobs import Job


class Listener(Protocol):
    """Called on the event loop, when a change is in the journal; it must neither wait nor raise."""

    def job_changed(self, job: Job) -> None:
        """A job was accepted, moved or progressed."""

    def job_deleted(self, job: Job) -> None:
        """A job is no more."""

    def job_sampled(self, job_id: str, sample: Sample) -> None:
        """A running job used this."""
