"""Which scripts run in any order of things, and which ends a job of each may come to."""

from __future__ import annotations

from dataclasses import dataclass, field

from nds_jupyter.jobs.job import Job, JobState, Reason

PULLABLE, MISSING = "registry/there:1", "registry/nowhere:1"
SCRIPTS = {
    "true": 0,
    "exit 3": 3,
    "sleep 30; exit 0": 0,
    "sleep 50; exit 4": 4,
    "trap '' TERM; sleep 90": 0,
    "tail /dev/zero": 137,
}
"""What each exits with when nothing is wrong."""

LONGEST = 120.0
"""Seconds that no script exceeds."""


@dataclass
class Trouble:
    """What went wrong so far, with the engine and what runs on it.

    Parameters
    ----------
    refused
        Whether the engine refused something, as it does also where its disk is full.
    node_was_lost
        Whether it said of a container that its node is lost.
    vanished
        Jobs whose container somebody removed.
    """

    refused: bool = False
    node_was_lost: bool = False
    vanished: set[str] = field(default_factory=set)


def check_end(job: Job, script: str, runs: int, trouble: Trouble) -> None:
    """Fail if a job may not have ended like this.

    Parameters
    ----------
    runs
        How often its script was started.
    """
    assert job.is_finished, job
    match job.state, job.reason:
        case JobState.COMPLETED, None:
            assert (job.exit_code, SCRIPTS[script]) == (0, 0)
            assert 1 <= runs <= job.attempts
            assert job.intent is None
        case JobState.FAILED, Reason.STOPPED | Reason.TIMEOUT:
            assert job.intent is job.reason
        case JobState.FAILED, Reason.EXIT | Reason.OOM:
            assert 1 <= runs <= job.attempts
            # 137 is also what a restart of the engine makes of it.
            assert job.exit_code in {SCRIPTS[script], 137}
            assert (job.reason is Reason.OOM) == job.oom
        case JobState.FAILED, Reason.IMAGE:
            assert job.spec.image == MISSING or trouble.refused
            assert runs <= job.attempts <= job.spec.retries
        case JobState.FAILED, Reason.ENGINE:
            # A container that vanishes while it is filled is an interrupted stage.
            assert trouble.refused or trouble.node_was_lost or job.job_id in trouble.vanished
            assert runs == 0 or trouble.refused or trouble.node_was_lost
        case JobState.UNKNOWN, None:
            assert job.job_id in trouble.vanished
        case _:
            raise AssertionError(job)
