"""Options of `%%ndsjob`, in groups that each add fields to the request.

A new group is a `JobOptions` (see `option_groups`) in a module of its own, and a line in `GROUPS`.
The command line takes the same ones, but for what only a notebook has: variables.
"""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.client.job import Job
from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import MagicOption, at_least, option, seconds
from nds_jupyter.magics.value_options import VALUES

_RANGE = re.compile(r"range\(([-0-9, ]+)\)")


def swept_values(text: str) -> tuple[str, tuple[Any, ...]]:
    """Return a name and its values from ``lr=0.1,0.01`` or ``seed=range(5)``."""
    name, equals, given = text.partition("=")
    if not equals or not name.isidentifier() or not given:
        raise UsageError(f"--sweep: {text!r} is not NAME=VALUE,VALUE or NAME=range(N).")
    counted = _RANGE.fullmatch(given.strip())
    if counted:
        try:
            return name, tuple(range(*map(int, counted[1].split(","))))
        except (TypeError, ValueError) as exc:
            raise UsageError(f"--sweep: {given!r} is no range: {exc}.") from exc
    return name, tuple(map(_scalar, given.split(",")))


def _scalar(text: str) -> str | int | float | bool:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()
    return value if isinstance(value, str | int | float | bool) else text.strip()


def _sweep_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    del context
    swept: Sequence[str] = options.sweep
    return {
        "sweep": dict(map(swept_values, swept)) or None,
        "max_concurrent": options.max_concurrent,
    }


SWEEP = JobOptions(
    options=(
        option(
            "--sweep",
            action="append",
            default=[],
            metavar="NAME=VALUES",
            help="Run the script for each of lr=0.1,0.01 or seed=range(5), a job a combination; it "
            "finds its values as NDS_SWEEP_LR, NDS_SWEEP_SEED and, as JSON, NDS_SWEEP.",
        ),
        option(
            "--max-concurrent",
            type=at_least(1),
            metavar="N",
            help="Jobs of the sweep that run at one time.",
        ),
    ),
    fields=_sweep_fields,
)
"""Many points instead of one."""


_MARKED = re.compile(r"[;@]|^-")
"""What makes one requirement of words with blanks between them: a marker, a URL, pip's options."""


def _build_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    if options.requirements and options.dockerfile:
        raise UsageError("--requirements, --dockerfile: give one of them.")
    return {
        "requirements": _requirements(options.requirements) if options.requirements else None,
        "dockerfile": _dockerfile(options.dockerfile, context) if options.dockerfile else None,
    }


def _requirements(given: Sequence[str]) -> list[str]:
    """Return lines of requirements, from files and packages."""
    lines: list[str] = []
    for each in given:
        path = Path(each).expanduser()
        if path.is_file():
            lines += _read(path, "--requirements").splitlines()
        elif path.suffix == ".txt":
            raise UsageError(f"--requirements: there is no file {each}.")
        else:
            lines += [each] if _MARKED.search(each) else each.split()
    return lines


def _dockerfile(given: str, context: CellContext) -> str:
    """Return the text of a file, or of a variable of the notebook."""
    text = context.namespace.get(given)
    if isinstance(text, str):
        return text
    path = Path(given).expanduser()
    if not path.is_file():
        raise UsageError(f"--dockerfile: {given} is neither a file nor a variable of text.")
    return _read(path, "--dockerfile")


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{name}: {path} can't be read: {exc}") from exc


BUILD = JobOptions(
    options=(
        option(
            "--requirements",
            action="extend",
            nargs="+",
            default=[],
            metavar="FILE|PACKAGE",
            completes="file",
            help="A file of requirements, or packages like numpy 'pandas>=2', that pip installs on "
            "top of the image, once; repeatable.",
        ),
        option(
            "--dockerfile",
            metavar="FILE|NAME",
            completes="file",
            help="A Dockerfile, or a variable with its text, that the image is built by, once; "
            "without a FROM it begins from the image.",
        ),
    ),
    fields=_build_fields,
)
"""What is built on top of the image."""


def _data_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    del context
    return {
        "data": options.data or None,
        "output": options.output,
        "overwrite": options.overwrite or None,
        "output_on_failure": options.output_on_failure or None,
    }


DATA = JobOptions(
    options=(
        option(
            "--data",
            action="append",
            default=[],
            metavar="PATH[:WHERE]",
            completes="data",
            help="A path of the data root, brought to /data or to the place given; repeatable.",
        ),
        option(
            "--output",
            metavar="PATH",
            completes="data",
            help="Collection of the data root that gets what the script writes under /results.",
        ),
        option(
            "--overwrite", action="store_true", help="Replace what the output's collection holds."
        ),
        option(
            "--output-on-failure",
            action="store_true",
            help="Deliver the results also of a script that fails.",
        ),
    ),
    fields=_data_fields,
)


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


def _headed(options: Iterable[MagicOption], group: str) -> tuple[MagicOption, ...]:
    return tuple(msgspec.structs.replace(each, group=group) for each in options)


def cell_options() -> tuple[MagicOption, ...]:
    """Return the options of a cell."""
    return (
        *(each for name in GROUPS for each in _headed(GROUPS[name].options, name)),
        *_headed((*RUN, *CELL), "the cell"),
    )


def terminal_options() -> tuple[MagicOption, ...]:
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
