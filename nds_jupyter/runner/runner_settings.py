"""Settings of the runner, and the protocol of the listeners to its jobs."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nds_jupyter.engines.base import Sample
from nds_jupyter.jobs.job import Job


class RunnerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs run at once, and how long their containers are kept.

    Parameters
    ----------
    max_running
        Jobs at once; 0 for one per CPU of the engine.
    keep_days, keep_jobs
        Containers of finished jobs are removed after so many days, or beyond so many jobs.
    keep_interval
        Seconds between two clean-ups.
    keep_log_bytes
        Bytes of the end of a log that outlive its container.
    grace
        Seconds between asking a script to end and killing it, where a stop does not say.
    most_inputs
        Collections and objects that one job may have as inputs.
    stager_image
        Image of the container that fetches inputs on a job's node of a Swarm; empty for none.
    """

    max_running: int = 0
    keep_days: float = 30.0
    keep_jobs: int = 1000
    keep_interval: float = 600.0
    keep_log_bytes: int = 2**20
    grace: float = 10.0
    most_inputs: int = 100_000
    stager_image: str = ""


class JobListener(Protocol):
    """Listener to changes of jobs, called on the event loop once they are in the journal.

    It must neither wait nor raise.
    """

    def job_changed(self, job: Job) -> None:
        """A job was accepted, changed its phase or progressed."""

    def job_deleted(self, job: Job) -> None:
        """A job was deleted."""

    def job_sampled(self, job_id: str, sample: Sample) -> None:
        """A running job was sampled."""
