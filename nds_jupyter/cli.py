"""The command line: submit, look at, stop and fetch jobs, from a terminal or a CI script."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from IPython.core.error import UsageError

from nds_jupyter import reprs
from nds_jupyter.client import Client
from nds_jupyter.doctor import diagnose
from nds_jupyter.errors import NdsError
from nds_jupyter.job import Job
from nds_jupyter.jobs import JobState
from nds_jupyter.magics.job_lines import EVERY, instant
from nds_jupyter.magics.job_options import CONTAINER
from nds_jupyter.magics.option_groups import CellContext
from nds_jupyter.magics.parser import Option
from nds_jupyter.magics.settings import Defaults

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
"""Exit codes of this program's own; otherwise a job's exit code is passed on."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        act: Callable[[argparse.Namespace], int] = options.act
        return act(options)
    except (NdsError, UsageError) as exc:
        print(f"nds_jupyter: {exc}", file=sys.stderr)  # noqa: T201
        return WRONG_USE if isinstance(exc, UsageError) else FAILED
    except OSError as exc:
        print(f"nds_jupyter: {exc.filename}: {exc.strerror}", file=sys.stderr)  # noqa: T201
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nds_jupyter",
        description="Run scripts as container jobs through a Jupyter server with nds_jupyter.",
        epilog="The token is better given as NDS_TOKEN: arguments can be seen by other users.",
    )
    parser.add_argument("--url", default="", help="The server's base URL; default: NDS_URL.")
    parser.add_argument("--token", default="", help="Its token; default: NDS_TOKEN.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    submit = _command(commands, "submit", _submit, "Run a script; the exit code is the script's.")
    submit.add_argument("file", help="The script; - reads it from standard input.")
    _add(submit, CONTAINER.options)
    submit.add_argument("--detach", action="store_true", help="Print the job's id, and return.")
    submit.add_argument("--quiet", action="store_true", help="Show the log only.")
    listed = _command(commands, "jobs", _jobs, "List jobs, newest first.")
    listed.add_argument("--state", choices=[each.value for each in JobState], help="Only these.")
    listed.add_argument("--name", help="Only names that contain this.")
    listed.add_argument("--since", help="Only jobs made since: 2h, 3d, 2026-01-31.")
    listed.add_argument("--limit", type=int, default=20, help="How many at most; 0: all.")
    logs = _command(commands, "logs", _logs, "Show the log of a job.")
    logs.add_argument("job", help="Id or unique prefix.")
    logs.add_argument("--tail", type=int, help="Lines from the end.")
    logs.add_argument("-f", "--follow", action="store_true", help="Go on until it has ended.")
    stop = _command(commands, "stop", _stop, "Stop a job.")
    stop.add_argument("job", help="Id or unique prefix.")
    get = _command(commands, "get", _get, "Download the results of a job.")
    get.add_argument("job", help="Id or unique prefix.")
    get.add_argument("path", nargs="?", default="/results", help="File or folder in it.")
    get.add_argument("--to", default=".", help="Folder to download into.")
    get.add_argument("--overwrite", action="store_true", help="Replace files that exist.")
    _command(commands, "doctor", _doctor, "Look at everything, and say what to do.")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    act: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(act=act)
    return parser


def _add(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    for each in options:
        parser.add_argument(*each.flags, **each.settings)


def _client(options: argparse.Namespace) -> Client:
    return Client(options.url, options.token)


def _submit(options: argparse.Namespace) -> int:
    content = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    text = content.decode("utf-8", "replace")
    if options.scriptname is None and options.file != "-":
        options.scriptname = Path(options.file).name
    context = CellContext(text=text, defaults=Defaults(), namespace={})
    fields = dict(CONTAINER.fields(options, context))
    with _client(options) as client:
        job = client.submit(content, **fields)
        if options.detach:
            print(job.id)  # noqa: T201
            return 0
        return _watch(job, quiet=options.quiet)


def _watch(job: Job, *, quiet: bool) -> int:
    """Show a job's log until its end; an interrupt stops it."""
    _tell(job, quiet=quiet)
    try:
        for line in job.lines():
            out = sys.stderr if line.stream == "stderr" else sys.stdout
            print(line.text, file=out, flush=True)
        job.wait()
    except KeyboardInterrupt:
        job.stop()
        _tell(job, quiet=quiet)
        raise
    _tell(job, quiet=quiet)
    return 0 if job.state is JobState.COMPLETED else job.exit_code or FAILED


def _tell(job: Job, *, quiet: bool) -> None:
    if not quiet:
        print(reprs.headline(job.view), file=sys.stderr, flush=True)  # noqa: T201


def _jobs(options: argparse.Namespace) -> int:
    with _client(options) as client:
        since = instant(options.since) if options.since else None
        jobs = client.jobs(
            state=options.state, name=options.name, since=since, limit=options.limit or EVERY
        )
    print(jobs)  # noqa: T201
    return 0


def _logs(options: argparse.Namespace) -> int:
    with _client(options) as client:
        job = client.job(options.job)
        if not options.follow:
            sys.stdout.write(job.logs(tail=options.tail))
            return 0
        for line in job.lines(tail=options.tail):
            out = sys.stderr if line.stream == "stderr" else sys.stdout
            print(line.text, file=out, flush=True)
    return 0


def _stop(options: argparse.Namespace) -> int:
    with _client(options) as client:
        job = client.job(options.job)
        job.stop()
        print(reprs.headline(job.view))  # noqa: T201
    return 0


def _get(options: argparse.Namespace) -> int:
    with _client(options) as client:
        job = client.job(options.job)
        for path in job.download(options.to, source=options.path, overwrite=options.overwrite):
            print(path)  # noqa: T201
    return 0


def _doctor(options: argparse.Namespace) -> int:
    diagnosis = diagnose(lambda: _client(options))
    print(diagnosis)  # noqa: T201
    return 0 if diagnosis.well else FAILED
