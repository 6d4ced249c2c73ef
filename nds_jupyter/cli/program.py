"""Command line `python -m nds_jupyter`: its commands and options, help, and exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.cli import commands
from nds_jupyter.errors import NdsError
from nds_jupyter.magics.job_lines import JobLines
from nds_jupyter.magics.job_options import terminal_options
from nds_jupyter.magics.parser import (
    MagicOption,
    add_options,
    option,
    reword_argparse_error,
    unknown_word_message,
)
from nds_jupyter.magics.server_lines import ServerLines

PROGRAM = "python -m nds_jupyter"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command of the command line.

    Parameters
    ----------
    summary
        What it does, in a sentence.
    run
        Carries it out, and returns the exit code.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], int]
    options: tuple[MagicOption, ...]
    examples: str


def _options_of_magic(magic: Callable[..., object]) -> tuple[MagicOption, ...]:
    """Return the options of a line magic; a terminal has no variables and no last job."""
    options: tuple[MagicOption, ...] = magic.line_parser().options  # type: ignore[attr-defined]
    return tuple(map(_terminal_option, options))


def _terminal_option(magic_option: MagicOption) -> MagicOption:
    settings = {name: value for name, value in magic_option.settings.items() if name != "nargs"}
    if magic_option.flags == ("job",):
        settings["help"] = "Id, prefix or name; -1 is the newest job."
    elif settings.get("action") == "extend":
        # Several values of an option would take in the file that comes last.
        settings["action"] = "append"
    else:
        return magic_option
    return msgspec.structs.replace(magic_option, settings=settings)


COMMANDS = (
    Command(
        name="submit",
        summary="Run a script as a job and show its log; the exit code is the script's.",
        run=commands.submit,
        options=(
            option("file", help="The script; - reads it from stdin."),
            *map(_terminal_option, terminal_options()),
        ),
        examples="""\
submit --image python:3.12-slim --memory 1g estimate.py
submit --requirements requirements.txt --data study/heights.csv --output study/out fit.py
submit --sweep lr=0.1,0.01 --sweep 'seed=range(5)' --max-concurrent 4 train.py
echo nproc | {program} submit --cmd 'sh /nds/cell' -""",
    ),
    Command(
        name="jobs",
        summary="List jobs, newest first.",
        run=commands.jobs,
        options=_options_of_magic(JobLines.ndsjobs),
        examples="jobs --state FAILED --since 2h",
    ),
    Command(
        name="logs",
        summary="Show the log of a job.",
        run=commands.logs,
        options=_options_of_magic(JobLines.ndslogs),
        examples="logs 9f2c --follow\nlogs night --tail 20",
    ),
    Command(
        name="stop",
        summary="Stop a job.",
        run=commands.stop,
        options=_options_of_magic(JobLines.ndsstop),
        examples="stop night",
    ),
    Command(
        name="get",
        summary="Download the results of a job, or data by its path or URL; list the files.",
        run=commands.get,
        options=_options_of_magic(JobLines.ndsget),
        examples="get 9f2c --to results\nget night summary.csv\nget /home/ada/study",
    ),
    Command(
        name="doctor",
        summary="Look at everything between here and a container, and say what to do.",
        run=commands.doctor,
        options=_options_of_magic(ServerLines.ndsdoctor),
        examples="doctor",
    ),
)
"""Every command; one for each magic that makes sense in a terminal."""

_VARIABLES = (
    "{} is for notebooks, whose variables travel. Here, --env NAME=VALUE gives a script words and "
    "--data PATH data; what it writes to /results comes by --output PATH or the command get"
)

NOTEBOOK_OPTIONS = {
    **{flag: _VARIABLES.format(flag) for flag in ("--in", "--out", "--pickle")},
    "--render": "--render is for notebooks, with whose variables it fills a template. Here, give a "
    "script words by --env NAME=VALUE",
    "--job": "--job is for notebooks, where it names a variable. Here, --name NAME names the job",
    "--no-raise": "--no-raise is for notebooks. Here, a job that fails raises nothing: its exit "
    "code is the command's",
}
"""Options of `%%ndsjob` that a terminal has no use for, and what to do instead."""

SERVER_OPTIONS = (
    option("--url", default="", help="The server's base URL; default: NDS_URL."),
    option("--token", default="", help="Its token; default: NDS_TOKEN."),
)
"""Options before the command."""


class _CommandParser(argparse.ArgumentParser):
    """Parser that reports errors as sentences, as the magics do."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"{reword_argparse_error(message)} {self.prog} --help shows what it takes."
        )


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; `run` of the result carries the command out.

    Raises
    ------
    UsageError
        If the line is wrong.
    SystemExit
        After ``--help``.
    """
    parser = command_parser()
    options, unknown = parser.parse_known_args(words)
    if unknown:
        options.parser.error(unknown_word_message(unknown, options.known_options, NOTEBOOK_OPTIONS))
    return options


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _create_parser(
        PROGRAM,
        "Run scripts as container jobs through a Jupyter server with nds_jupyter.",
        SERVER_OPTIONS,
        "The token is better given as NDS_TOKEN: arguments can be seen by other users.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for each in COMMANDS:
        subparser = subparsers.add_parser(
            each.name,
            help=each.summary,
            description=each.summary,
            epilog=f"examples:\n{format_examples(each)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_options(subparser, each.options)
        subparser.set_defaults(run=each.run, parser=subparser, known_options=each.options)
    return parser


def _create_parser(
    program: str, summary: str, options: Iterable[MagicOption], epilog: str
) -> argparse.ArgumentParser:
    parser = _CommandParser(prog=program, description=summary, epilog=epilog, allow_abbrev=False)
    add_options(parser, options)
    return parser


def format_examples(command: Command, indent: str = "  ") -> str:
    """Return the examples of a command as they are typed."""
    lines = command.examples.format(program=PROGRAM).splitlines()
    words = [each if PROGRAM in each else f"{PROGRAM} {each}" for each in lines]
    return "\n".join(f"{indent}{each}" for each in words)


FAILED, WRONG_USE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
"""Exit codes of this program's own; otherwise a job's exit code is passed on."""


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        options = parse_arguments(words)
        with _sigterm_as_interrupt():
            return int(options.run(options))
    except UsageError as exc:
        return _print_error(str(exc), WRONG_USE)
    except NdsError as exc:
        return _print_error(str(exc), FAILED)
    except BrokenPipeError:
        # Who read the output has gone; the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as exc:
        return _print_error(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _print_error(sentence: str, code: int) -> int:
    print(f"nds_jupyter: {sentence}", file=sys.stderr)  # noqa: T201
    return code


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM, by which a CI system ends what takes too long, as ^C: it stops the job."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
