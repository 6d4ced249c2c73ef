"""The commands about jobs that there are, and about the server."""

from __future__ import annotations

import argparse
import contextlib
import sys

from nds_jupyter.client import Client, reprs
from nds_jupyter.client.doctor import diagnose
from nds_jupyter.client.job import Job
from nds_jupyter.errors import JobNotFound
from nds_jupyter.magics.data_lines import names_data
from nds_jupyter.magics.job_lines import listed
from nds_jupyter.magics.session import named_job


def client_for(options: argparse.Namespace) -> Client:
    """Return a client of the server that the options, or the environment, name."""
    return Client(options.url, options.token)


def jobs(options: argparse.Namespace) -> int:
    """List jobs."""
    with client_for(options) as client:
        print(listed(client, options))  # noqa: T201
    return 0


def logs(options: argparse.Namespace) -> int:
    """Show a log."""
    with client_for(options) as client:
        job = _job(client, options.job)
        if options.follow:
            show_log(job, tail=options.tail)
        else:
            sys.stdout.write(job.logs(tail=options.tail))
    return 0


def show_log(job: Job, tail: int | None = None) -> None:
    """Write a job's log as it comes: stdout to stdout, everything else to stderr."""
    for line in job.lines(tail=tail):
        out = sys.stdout if line.stream == "stdout" else sys.stderr
        print(line.text, file=out, flush=True)


def stop(options: argparse.Namespace) -> int:
    """Stop a job."""
    with client_for(options) as client:
        job = _job(client, options.job)
        job.stop()
        print(reprs.headline(job.view))  # noqa: T201
    return 0


def get(options: argparse.Namespace) -> int:
    """Download results or data."""
    with client_for(options) as client:
        if names_data(options.job):
            files = client.data.get(options.job, options.to, overwrite=options.overwrite)
        else:
            job = _job(client, options.job)
            files = job.download(options.to, source=options.path, overwrite=options.overwrite)
    for path in files:
        print(path)  # noqa: T201
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Say what does not work, and what to do."""
    with contextlib.ExitStack() as opened:
        diagnosis = diagnose(lambda: opened.enter_context(client_for(options)))
    print(diagnosis)  # noqa: T201
    return 0 if diagnosis.well else 1


def _job(client: Client, word: str) -> Job:
    if word != "-1":
        return named_job(client, word)
    for job in client.jobs(limit=1):
        return job
    raise JobNotFound("There is no job yet.")
