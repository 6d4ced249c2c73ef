"""The options of `%%ndsjob`, in groups; each group says what it adds to the request.

A new group is a `JobOptions` (see `option_groups`) in a module of its own, and a line in `GROUPS`.
The command line takes the same ones, but for what only a notebook has: variables.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.client.job import Job
from nds_jupyter.magics.build_options import BUILD
from nds_jupyter.magics.counts import at_least
from nds_jupyter.magics.data_options import DATA
from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import Option, option
from nds_jupyter.magics.sweep import SWEEP
from nds_jupyter.magics.times import seconds
from nds_jupyter.magics.value_options import VALUES


def _container_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    defaults = context.defaults
    return {
        "image": options.image or defaults.image,
        "name": options.name,
        "scriptname": options.scriptname or default_scriptname(context.text, options.cmd),
        "command": shlex.split(options.cmd) if options.cmd else None,
        "env": dict(map(_variable, options.env)) or None,
        "cpus": defaults.cpus if options.cpus is None else options.cpus,
        "memory": options.memory or defaults.memory,
        "timeout": defaults.timeout if options.timeout is None else options.timeout,
        "network": options.network,
        "constraint": options.constraint or None,
        "gpus": options.gpus,
        "retries": options.retries,
    }


def default_scriptname(text: str, command: str | None) -> str:
    """Return the file name of a cell: Python, unless it has a shebang or a command."""
    return "cell" if text.startswith("#!") or command else "cell.py"


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--env: {text!r} is not NAME=VALUE.")
    return name, value


CONTAINER = JobOptions(
    options=(
        option(
            "--image",
            completes="image",
            help="Image, like python:3.11-slim; default: the server's.",
        ),
        option("--name", help="A name to find the job by."),
        option(
            "--scriptname",
            help="File name of the script; its suffix chooses the interpreter.",
        ),
        option(
            "--cmd",
            help="Command to run instead of the script, which lies in /nds: 'bash -x /nds/cell'.",
        ),
        option(
            "--env",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="A variable of the script's environment; repeatable.",
        ),
        option("--cpus", type=float, help="CPUs, like 0.5 or 4."),
        option("--memory", help="Memory, like 512m or 2g."),
        option(
            "--timeout",
            type=seconds,
            help="After how long the job is stopped: seconds, or like 90m, 2h, 1d.",
        ),
        option("--gpus", type=at_least(0), help="Whole GPUs for this job alone."),
        option(
            "--constraint",
            action="append",
            default=[],
            help="What the node must fulfil, on a Swarm: node.labels.gpu==true; repeatable.",
        ),
        option(
            "--retries",
            type=at_least(0),
            metavar="N",
            help="Run the script again, so often at most, when its node or container was lost "
            "and nobody knows how it ended.",
        ),
        option("--network", choices=["none", "bridge"], help="Network of the container."),
    ),
    fields=_container_fields,
)
"""What the container is."""

GROUPS: dict[str, JobOptions] = {
    "the container": CONTAINER,
    "an image built first": BUILD,
    "data": DATA,
    "variables of the notebook": VALUES,
    "many jobs": SWEEP,
}
"""Every group that `%%ndsjob` takes, under the heading that it has in help."""

OF_NOTEBOOKS = frozenset({"variables of the notebook"})
"""Groups that make no sense in a terminal."""

RUN = (
    option("--detach", action="store_true", help="Return at once, and let it run."),
    option("--quiet", action="store_true", help="Show no log."),
    option("--dry-run", action="store_true", help="Show what would be sent, and send nothing."),
)
"""How a job is waited for, in a notebook as in a terminal."""

CELL = (
    option("--no-raise", action="store_true", help="Raise no error when the job fails."),
    option("--job", metavar="NAME", help="Bind the job to this variable."),
    option(
        "--render",
        action="store_true",
        help="Take the cell for a Jinja2 template over the notebook's variables: {{ name }}.",
    ),
)
"""What only a cell has."""


def _headed(options: Iterable[Option], group: str) -> tuple[Option, ...]:
    return tuple(msgspec.structs.replace(each, group=group) for each in options)


def cell_options() -> tuple[Option, ...]:
    """Return the options of a cell."""
    return (
        *(each for name in GROUPS for each in _headed(GROUPS[name].options, name)),
        *_headed((*RUN, *CELL), "the cell"),
    )


def terminal_options() -> tuple[Option, ...]:
    """Return the options of a script in a terminal."""
    names = [name for name in GROUPS if name not in OF_NOTEBOOKS]
    return (
        *(each for name in names for each in _headed(GROUPS[name].options, name)),
        *_headed(RUN, "the command"),
    )


def job_fields(
    options: argparse.Namespace, context: CellContext, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the arguments of `Client.submit` that a line asks for.

    What a later group says of a field counts; variables of the environment and labels add up.

    Parameters
    ----------
    without
        Groups whose options were not there to be given.
    """
    fields: dict[str, Any] = {"script": context.text}
    for group in (GROUPS[name] for name in GROUPS if name not in without):
        for name, value in group.fields(options, context).items():
            known = fields.get(name)
            if isinstance(known, dict) and isinstance(value, dict):
                value = {**known, **value}
            fields[name] = value
    return fields


def job_finished(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    """Do what the groups do when a job has COMPLETED."""
    for group in GROUPS.values():
        group.finished(options, job, context)
