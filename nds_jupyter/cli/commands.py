"""What the commands do: submit, jobs, logs, stop, get, doctor."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nds_jupyter.client import Client, display
from nds_jupyter.client.doctor import diagnose
from nds_jupyter.client.job import Job
from nds_jupyter.client.job_array import JobArray
from nds_jupyter.client.submit import request_fields
from nds_jupyter.errors import InvalidRequest, JobFailed, JobNotFound
from nds_jupyter.jobs.job import JobState
from nds_jupyter.magics.data_lines import is_data_path
from nds_jupyter.magics.interruptible_wait import (
    S,
    UninterruptedCall,
    describe_job,
    stop_and_describe,
)
from nds_jupyter.magics.job_cell import RequestPreview
from nds_jupyter.magics.job_lines import list_jobs
from nds_jupyter.magics.job_options import NOTEBOOK_GROUPS, CellContext, JobDefaults, job_fields
from nds_jupyter.magics.session import find_job
from nds_jupyter.magics.settings import NdsMagics, project_settings


def connect(options: argparse.Namespace) -> Client:
    """Return a client of the server that the options or the environment name."""
    return Client(options.url, options.token)


def jobs(options: argparse.Namespace) -> int:
    """List jobs."""
    with connect(options) as client:
        print(list_jobs(client, options))  # noqa: T201
    return 0


def logs(options: argparse.Namespace) -> int:
    """Show a log."""
    with connect(options) as client:
        job = _find_job(client, options.job)
        if options.follow:
            write_log(job, tail=options.tail)
        else:
            sys.stdout.write(job.logs(tail=options.tail))
    return 0


def write_log(job: Job, tail: int | None = None) -> None:
    """Write a job's log as it comes: stdout to stdout, everything else to stderr."""
    for line in job.lines(tail=tail):
        out = sys.stdout if line.stream == "stdout" else sys.stderr
        print(line.text, file=out, flush=True)


def stop(options: argparse.Namespace) -> int:
    """Stop a job."""
    with connect(options) as client:
        job = _find_job(client, options.job)
        job.stop()
        print(display.headline(job.view))  # noqa: T201
    return 0


def get(options: argparse.Namespace) -> int:
    """Download results or data."""
    with connect(options) as client:
        if is_data_path(options.job):
            files = client.data.get(options.job, options.to, overwrite=options.overwrite)
        else:
            job = _find_job(client, options.job)
            files = job.download(options.to, source=options.path, overwrite=options.overwrite)
    for path in files:
        print(path)  # noqa: T201
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Print what does not work, and what to do."""
    with contextlib.ExitStack() as opened:
        diagnosis = diagnose(lambda: opened.enter_context(connect(options)))
    print(diagnosis)  # noqa: T201
    return 0 if diagnosis.well else 1


def _find_job(client: Client, word: str) -> Job:
    if word != "-1":
        return find_job(client, word)
    for job in client.jobs(limit=1):
        return job
    raise JobNotFound("There is no job yet.")


FAILED_JOB = 1
"""Exit code for a job that failed without one of its own."""


def submit(options: argparse.Namespace) -> int:
    """Run a script and return its exit code."""
    fields = _request_fields(options)
    sweep, most = fields.pop("sweep", None), fields.pop("max_concurrent", None)
    if options.dry_run:
        print(RequestPreview(request_fields(**fields, sweep=sweep, max_concurrent=most)))  # noqa: T201
        return 0
    with connect(options) as client:
        if sweep is None:
            return _run_job(client, fields, detach=options.detach, quiet=options.quiet)
        fields |= {"sweep": sweep, "max_concurrent": most}
        return _run_sweep(client, fields, detach=options.detach, quiet=options.quiet)


def _request_fields(options: argparse.Namespace) -> dict[str, Any]:
    script = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    if options.scriptname is None and options.file != "-":
        options.scriptname = Path(options.file).name
    text = script.decode("utf-8", "replace")
    context = CellContext(text=text, defaults=_project_defaults(), namespace={})
    fields = job_fields(options, context, without=NOTEBOOK_GROUPS)
    # A script that is no UTF-8 travels as bytes.
    return {**fields, "script": text if text.encode() == script else script}


def _project_defaults() -> JobDefaults:
    """Return the defaults of ``[tool.nds]``, as for a notebook in the current folder."""
    names = set(NdsMagics.class_trait_names(config=True)) - {"url", "token"}
    table = project_settings(Path.cwd(), names)
    values = {name: table[name] for name in JobDefaults.__struct_fields__ if name in table}
    try:
        return msgspec.convert(values, JobDefaults)
    except msgspec.ValidationError as exc:
        raise InvalidRequest(f"[tool.nds]: {exc}") from exc


def _run_job(client: Client, fields: dict[str, Any], *, detach: bool, quiet: bool) -> int:
    """Run one job to its end."""

    def show(job: Job) -> None:
        _print_headline(job, quiet=quiet)
        if not quiet:
            write_log(job)
        job.wait()

    job = _submit_and_show(
        lambda: client.submit(**fields), (lambda _: None) if detach else show, describe_job
    )
    if detach:
        print(job.id)  # noqa: T201
        return 0
    return _report_end(job, quiet=quiet)


def _submit_and_show(
    submit: Callable[[], S], show: Callable[[S], None], describe: Callable[[S], str]
) -> S:
    """Submit and show; an interrupt stops it, also one that comes before the server's response."""
    pending = UninterruptedCall(submit)
    try:
        submitted = pending.start_once().result()
        show(submitted)
    except KeyboardInterrupt:
        if pending.is_started:
            print(stop_and_describe(pending, describe), file=sys.stderr, flush=True)  # noqa: T201
        raise
    return submitted


def _report_end(job: Job, *, quiet: bool) -> int:
    if job.state is JobState.COMPLETED:
        _print_headline(job, quiet=quiet)
        return 0
    # The log was shown, unless the command was quiet.
    try:
        job.raise_if_failed()
    except JobFailed as exc:
        message = str(exc) if quiet else display.headline(job.view)
        print(message, file=sys.stderr, flush=True)  # noqa: T201
    return job.exit_code or FAILED_JOB


def _print_headline(job: Job, *, quiet: bool) -> None:
    if not quiet:
        print(display.headline(job.view), file=sys.stderr, flush=True)  # noqa: T201


def _run_sweep(client: Client, fields: dict[str, Any], *, detach: bool, quiet: bool) -> int:
    """Run the jobs of a sweep; the exit code is that of the first one that failed."""
    progress = _TerminalLine(quiet=quiet)

    def show(jobs: JobArray) -> None:
        try:
            jobs.wait(progress.show)
        finally:
            progress.end()

    submit = partial(client.submit_sweep, **fields)
    jobs = _submit_and_show(submit, (lambda _: None) if detach else show, JobArray.progress)
    if detach:
        print("\n".join(job.id for job in jobs))  # noqa: T201
        return 0
    print(jobs)  # noqa: T201
    failed = jobs.failed
    return 0 if not failed else failed[0].exit_code or FAILED_JOB


class _TerminalLine:
    """Status line on stderr: updated in place on a terminal, a line for each update elsewhere.

    Parameters
    ----------
    quiet
        Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._in_place = sys.stderr.isatty()
        self._shown = ""

    def show(self, text: str) -> None:
        """Show a text instead of the one before."""
        if self._quiet or text == self._shown:
            return
        self._shown = text
        print(  # noqa: T201
            f"\r{text}" if self._in_place else text,
            end="" if self._in_place else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """End the line."""
        if self._shown and self._in_place:
            print(file=sys.stderr, flush=True)  # noqa: T201
