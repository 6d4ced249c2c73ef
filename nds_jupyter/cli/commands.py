"""Commands of the command line and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.cli import job_commands
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
    """One command.

    Parameters
    ----------
    summary
        What it does, in a sentence.
    act
        Does it, and returns the exit code.
    """

    name: str
    summary: str
    act: Callable[[argparse.Namespace], int]
    options: tuple[MagicOption, ...]
    examples: str


def _of_magic(magic: Callable[..., object]) -> tuple[MagicOption, ...]:
    """Return the options of a line magic; a terminal has no variables and no last job."""
    options: tuple[MagicOption, ...] = magic.line_parser().options  # type: ignore[attr-defined]
    return tuple(map(_in_terminal, options))


def _in_terminal(given: MagicOption) -> MagicOption:
    settings = {name: value for name, value in given.settings.items() if name != "nargs"}
    if given.flags == ("job",):
        settings["help"] = "Id, prefix or name; -1 is the newest job."
    elif settings.get("action") == "extend":
        # Several values of an option would take in the file that comes last.
        settings["action"] = "append"
    else:
        return given
    return msgspec.structs.replace(given, settings=settings)


COMMANDS = (
    Command(
        name="submit",
        summary="Run a script as a job and show its log; the exit code is the script's.",
        act=job_commands.submit,
        options=(
            option("file", help="The script; - reads it from stdin."),
            *map(_in_terminal, terminal_options()),
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
        act=job_commands.jobs,
        options=_of_magic(JobLines.ndsjobs),
        examples="jobs --state FAILED --since 2h",
    ),
    Command(
        name="logs",
        summary="Show the log of a job.",
        act=job_commands.logs,
        options=_of_magic(JobLines.ndslogs),
        examples="logs 9f2c --follow\nlogs night --tail 20",
    ),
    Command(
        name="stop",
        summary="Stop a job.",
        act=job_commands.stop,
        options=_of_magic(JobLines.ndsstop),
        examples="stop night",
    ),
    Command(
        name="get",
        summary="Download the results of a job, or data by its path or URL; list the files.",
        act=job_commands.get,
        options=_of_magic(JobLines.ndsget),
        examples="get 9f2c --to results\nget night summary.csv\nget /home/ada/study",
    ),
    Command(
        name="doctor",
        summary="Look at everything between here and a container, and say what to do.",
        act=job_commands.doctor,
        options=_of_magic(ServerLines.ndsdoctor),
        examples="doctor",
    ),
)
"""Every command; one for each magic that makes sense in a terminal."""

_VARIABLES = (
    "{} is for notebooks, whose variables travel. Here, --env NAME=VALUE gives a script words and "
    "--data PATH data; what it writes to /results comes by --output PATH or the command get"
)

IN_NOTEBOOKS = {
    **{flag: _VARIABLES.format(flag) for flag in ("--in", "--out", "--pickle")},
    "--render": "--render is for notebooks, with whose variables it fills a template. Here, give a "
    "script words by --env NAME=VALUE",
    "--job": "--job is for notebooks, where it names a variable. Here, --name NAME names the job",
    "--no-raise": "--no-raise is for notebooks. Here, a job that fails raises nothing: its exit "
    "code is the command's",
}
"""Options of `%%ndsjob` that a terminal has no use for, and what to do instead."""

SERVER = (
    option("--url", default="", help="The server's base URL; default: NDS_URL."),
    option("--token", default="", help="Its token; default: NDS_TOKEN."),
)
"""Options before the command."""


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with a line in a sentence, as the magics do."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"{reword_argparse_error(message)} {self.prog} --help shows what it takes."
        )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the values of a command line; `act` is what does it.

    Raises
    ------
    UsageError
        If something is wrong with it.
    SystemExit
        After ``--help``.
    """
    parser = command_parser()
    options, unknown = parser.parse_known_args(words)
    if unknown:
        options.parser.error(unknown_word_message(unknown, options.takes, IN_NOTEBOOKS))
    return options


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _made(
        PROGRAM,
        "Run scripts as container jobs through a Jupyter server with nds_jupyter.",
        SERVER,
        "The token is better given as NDS_TOKEN: arguments can be seen by other users.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for each in COMMANDS:
        made = commands.add_parser(
            each.name,
            help=each.summary,
            description=each.summary,
            epilog=f"examples:\n{shown_examples(each)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_options(made, each.options)
        made.set_defaults(act=each.act, parser=made, takes=each.options)
    return parser


def _made(
    program: str, summary: str, options: Iterable[MagicOption], epilog: str
) -> argparse.ArgumentParser:
    parser = _Parser(prog=program, description=summary, epilog=epilog, allow_abbrev=False)
    add_options(parser, options)
    return parser


def shown_examples(command: Command, indent: str = "  ") -> str:
    """Return the examples of a command as they are typed."""
    lines = command.examples.format(program=PROGRAM).splitlines()
    words = [each if PROGRAM in each else f"{PROGRAM} {each}" for each in lines]
    return "\n".join(f"{indent}{each}" for each in words)
