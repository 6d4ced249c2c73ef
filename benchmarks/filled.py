"""Folders of a server as they are after long use, for measurements that need much to be there."""

from __future__ import annotations

import getpass
from datetime import timedelta
from pathlib import Path

import msgspec

from dev.images import PYTHON_IMAGE
from nds_jupyter.jobs.job import Job, JobSpec, JobState, Limits, Phase, utc_now
from nds_jupyter.journal import Journal

JOBS = 10_000
ENTRIES = 100_000


def remember_jobs(folder: Path) -> None:
    """Write many jobs that have ended, and whose containers are gone, into the server's journal."""
    spec = JobSpec(
        scriptname="cell.py",
        script_sha256="0" * 64,
        script_shebang=False,
        image=PYTHON_IMAGE,
        limits=Limits(cpus=1, memory=2**30, pids=10),
    )
    now = utc_now()
    jobs = []
    for number in range(JOBS):
        began = now - timedelta(minutes=JOBS - number)
        job = Job(
            job_id=f"{number:016x}",
            owner=getpass.getuser(),
            spec=msgspec.structs.replace(spec, name=f"job {number}"),
            created=began,
            phase=Phase.FINISHED,
            state=JobState.FAILED if number % 7 == 0 else JobState.COMPLETED,
            exit_code=int(number % 7 == 0),
            container_id=f"{number:064x}",
            started=began,
            ended=began,
            finished=began + timedelta(seconds=number % 60),
            removed=now,
        )
        jobs.append(job)
    journal = Journal.open(folder / "data" / "nds")
    try:
        journal.add_all(jobs, b"pass")
        for job in jobs:
            journal.save(job)
    finally:
        journal.close()


def fill_collection(folder: Path) -> None:
    """Make the big collection."""
    big = folder / "collections" / "big"
    big.mkdir(parents=True)
    for number in range(ENTRIES):
        (big / f"entry-{number:06d}").touch()
