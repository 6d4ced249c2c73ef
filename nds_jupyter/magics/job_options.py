"""Options of `%%ndsjob`, in groups that each add fields to the request.

A new group is a `JobOptions` and a line in `GROUPS`. The command line takes the same ones, but for
what only a notebook has: variables.
"""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.client.job import Job
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.byte_sizes import MAX_VALUE_BYTES, size_text
from nds_jupyter.jobs.script import CELL_ARCHIVE_NAME
from nds_jupyter.magics.error_display import interrupt_error
from nds_jupyter.magics.interruptible_wait import CellProgress
from nds_jupyter.magics.parser import MagicOption, at_least, option, parse_seconds
from nds_jupyter.magics.settings import NdsMagics
from nds_jupyter.values.bundle import RequestedValue, ValueOptions, bundle_cell, bundle_script
from nds_jupyter.values.output_values import OUTPUT_LABEL, download_value


class JobDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults of options that a cell does not give; None leaves them to the server.

    Parameters
    ----------
    timeout
        Seconds.
    max_value_size
        Bytes of a variable of ``--in`` or ``--out``.
    """

    image: str | None = None
    memory: str | None = None
    cpus: float | None = None
    timeout: float | None = None
    max_value_size: int = MAX_VALUE_BYTES


def configured_defaults(settings: NdsMagics) -> JobDefaults:
    """Return the defaults that the settings of a notebook give."""
    return JobDefaults(
        image=settings.image or None,
        memory=settings.memory or None,
        cpus=settings.cpus,
        timeout=settings.timeout,
        max_value_size=settings.max_value_bytes,
    )


def _do_nothing(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    """Do nothing when a job has COMPLETED."""


class CellContext(msgspec.Struct, frozen=True, kw_only=True):
    """Cell, settings and notebook that the options are evaluated in.

    Parameters
    ----------
    text
        The cell without its first line.
    namespace
        The notebook's variables.
    notes
        Lines to print for the user, beside the log.
    upload_progress
        Progress of the files that are uploaded, and of the values that are downloaded.
    """

    text: str
    defaults: JobDefaults
    namespace: dict[str, Any]
    notes: list[str] = msgspec.field(default_factory=list)
    upload_progress: CellProgress = msgspec.field(default_factory=lambda: CellProgress(quiet=True))


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Group of options, and the fields that they add to the request.

    Parameters
    ----------
    fields
        Returns arguments of `Client.submit` for the values of a line; None leaves a field out.
    on_completion
        Called when the job has COMPLETED.
    """

    options: tuple[MagicOption, ...]
    fields: Callable[[argparse.Namespace, CellContext], Mapping[str, Any]]
    on_completion: Callable[[argparse.Namespace, Job, CellContext], None] = _do_nothing


def _container_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    defaults = context.defaults
    return {
        "image": options.image or defaults.image,
        "name": options.name,
        "scriptname": options.scriptname or default_scriptname(context.text, options.cmd),
        "command": shlex.split(options.cmd) if options.cmd else None,
        "env": dict(map(_parse_env, options.env)) or None,
        "cpus": defaults.cpus if options.cpus is None else options.cpus,
        "memory": options.memory or defaults.memory,
        "timeout": defaults.timeout if options.timeout is None else options.timeout,
        "network": options.network,
        "constraint": options.constraint or None,
        "gpus": options.gpus,
        "retries": options.retries,
    }


def default_scriptname(text: str, command: str | None) -> str:
    """Return the default file name of a cell: Python, unless it has a shebang or a command."""
    return "cell" if text.startswith("#!") or command else "cell.py"


def _parse_env(text: str) -> tuple[str, str]:
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
            type=parse_seconds,
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
"""Options for the container."""


_SINGLE_REQUIREMENT = re.compile(r"[;@]|^-")
"""Signs that words with blanks between them are one requirement: a marker, a URL, pip's options."""


def _build_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    if options.requirements and options.dockerfile:
        raise UsageError("--requirements, --dockerfile: give one of them.")
    return {
        "requirements": _requirements(options.requirements) if options.requirements else None,
        "dockerfile": _dockerfile(options.dockerfile, context) if options.dockerfile else None,
    }


def _requirements(words: Sequence[str]) -> list[str]:
    """Return the lines of requirements that files and packages give."""
    lines: list[str] = []
    for each in words:
        path = Path(each).expanduser()
        if path.is_file():
            lines += _read_file(path, "--requirements").splitlines()
        elif path.suffix == ".txt":
            raise UsageError(f"--requirements: there is no file {each}.")
        else:
            lines += [each] if _SINGLE_REQUIREMENT.search(each) else each.split()
    return lines


def _dockerfile(name: str, context: CellContext) -> str:
    """Return the text of a file, or of a variable of the notebook."""
    text = context.namespace.get(name)
    if isinstance(text, str):
        return text
    path = Path(name).expanduser()
    if not path.is_file():
        raise UsageError(f"--dockerfile: {name} is neither a file nor a variable of text.")
    return _read_file(path, "--dockerfile")


def _read_file(path: Path, name: str) -> str:
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


def _value_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    ins, outs = _parse_value_names(options.ins, "--in"), _parse_value_names(options.outs, "--out")
    if not ins and not outs:
        return {}
    values = {each: _notebook_variable(each.name, context.namespace) for each in ins}
    shebang = _python_shebang(context.text, options)
    value_options = ValueOptions(
        allow_pickle=options.pickle,
        max_size=context.defaults.max_value_size,
        for_python=shebang is not None,
    )
    fields: dict[str, Any] = {"labels": {OUTPUT_LABEL: " ".join(options.outs)}} if outs else {}
    try:
        if shebang is None:
            bundle = bundle_script(context.text, values, value_options)
        else:
            path = f"/nds/{options.scriptname or 'cell.py'}"
            bundle = bundle_cell(
                context.text, values, outs, value_options, path=path, shebang=shebang
            )
            fields |= {"script": bundle.script, "scriptname": CELL_ARCHIVE_NAME}
    except KeyboardInterrupt:
        raise interrupt_error("Nothing was submitted.") from None
    if bundle.sizes:
        context.notes.append(_sizes_text("--in", bundle.sizes))
    return fields | {"files": bundle.files or None}


def _parse_value_names(names: Sequence[str], flag: str) -> list[RequestedValue]:
    try:
        requested = [RequestedValue.parse(text, flag) for text in names]
    except InvalidRequest as exc:
        raise UsageError(exc.message) from exc
    counts = Counter(each.name for each in requested)
    repeated = next((name for name, count in counts.items() if count > 1), None)
    if repeated is not None:
        raise UsageError(f"{flag} {repeated}: it is given more than once.")
    return requested


def _notebook_variable(name: str, namespace: Mapping[str, Any]) -> object:
    if name not in namespace:
        raise UsageError(f"--in {name}: the notebook has no variable of that name.")
    return namespace[name]


def _python_shebang(text: str, options: argparse.Namespace) -> str | None:
    """Return the cell's first line if it names a Python, empty for the image's own.

    None for a script of another language.
    """
    if options.cmd or not (options.scriptname or ".py").endswith(".py"):
        return None
    if not text.startswith("#!"):
        return ""
    line = text.partition("\n")[0].rstrip()
    return line if any("python" in word for word in shlex.split(line[2:])) else None


def _bind_outputs(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    value_options = ValueOptions(
        allow_pickle=options.pickle, max_size=context.defaults.max_value_size
    )
    try:
        note = bind_output_values(
            job, options.outs, context.namespace, value_options, context.upload_progress
        )
    except KeyboardInterrupt:
        raise interrupt_error(
            f"The job has ended well; %ndsvalues {job.id} brings its values."
        ) from None
    if note:
        context.notes.append(note)


def bind_output_values(
    job: Job,
    names: Sequence[str],
    namespace: dict[str, Any],
    value_options: ValueOptions,
    progress: CellProgress,
) -> str:
    """Bind variables to the output values of a job, all or none, and return a line of their sizes.

    Parameters
    ----------
    names
        As after ``--out``.
    progress
        Shows the transfer.
    """
    values = {
        each.name: download_value(
            job,
            each,
            allow_pickle=value_options.allow_pickle,
            max_size=value_options.max_size,
            progress=progress.report_and_show,
        )
        for each in _parse_value_names(names, "--out")
    }
    # A part of the requested values would be taken for all of them.
    namespace.update({name: each.value for name, each in values.items()})
    return _sizes_text("--out", {name: each.size for name, each in values.items()})


def _sizes_text(flag: str, sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{flag} {name} ({size_text(size)})" for name, size in sizes.items())


VALUES = JobOptions(
    options=(
        option(
            "--in",
            dest="ins",
            action="append",
            default=[],
            metavar="NAME[.FORMAT]",
            completes="variable",
            help="A variable of the notebook. A Python script finds it in its namespace: plain "
            "values travel as JSON, tables as Arrow, arrays as .npy. A script of another language "
            "reads $NDS_IN/NAME.json, .txt, .arrow or .npy; with a format, like table.csv, that "
            "one. Repeatable.",
        ),
        option(
            "--out",
            dest="outs",
            action="append",
            default=[],
            metavar="NAME[.FORMAT]",
            completes="variable",
            help="A variable that a Python script leaves behind for the notebook; a script of "
            "another language writes $NDS_OUT/NAME.json, .txt, .csv, .arrow, .parquet or .npy. "
            "After --detach the magic ndsvalues brings it. Repeatable.",
        ),
        option(
            "--pickle",
            action="store_true",
            help="Send and bring back other values as pickles. Loading one runs what is in it, so "
            "use it only with containers that you trust.",
        ),
    ),
    fields=_value_fields,
    on_completion=_bind_outputs,
)
"""Options for variables that travel into the script and back."""


_RANGE = re.compile(r"range\(([-0-9, ]+)\)")


def parse_sweep_values(text: str) -> tuple[str, tuple[Any, ...]]:
    """Parse a name and its values from ``lr=0.1,0.01`` or ``seed=range(5)``."""
    name, equals, values = text.partition("=")
    if not equals or not name.isidentifier() or not values:
        raise UsageError(f"--sweep: {text!r} is not NAME=VALUE,VALUE or NAME=range(N).")
    match = _RANGE.fullmatch(values.strip())
    if match:
        try:
            return name, tuple(range(*map(int, match[1].split(","))))
        except (TypeError, ValueError) as exc:
            raise UsageError(f"--sweep: {values!r} is no range: {exc}.") from exc
    return name, tuple(map(_parse_scalar, values.split(",")))


def _parse_scalar(text: str) -> str | int | float | bool:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()
    return value if isinstance(value, str | int | float | bool) else text.strip()


def _sweep_fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    del context
    swept: Sequence[str] = options.sweep
    return {
        "sweep": dict(map(parse_sweep_values, swept)) or None,
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
"""Options for a job at each of many points."""


GROUPS: dict[str, JobOptions] = {
    "the container": CONTAINER,
    "an image built first": BUILD,
    "data": DATA,
    "variables of the notebook": VALUES,
    "many jobs": SWEEP,
}
"""Groups of options of `%%ndsjob`, by their heading in help."""

NOTEBOOK_GROUPS = frozenset({"variables of the notebook"})
"""Groups that make no sense in a terminal."""

RUN_OPTIONS = (
    option("--detach", action="store_true", help="Return at once, and let it run."),
    option("--quiet", action="store_true", help="Show no log."),
    option("--dry-run", action="store_true", help="Show what would be sent, and send nothing."),
)
"""Options of how a job is run, in a notebook as in a terminal."""

CELL_OPTIONS = (
    option("--no-raise", action="store_true", help="Raise no error when the job fails."),
    option("--job", metavar="NAME", help="Bind the job to this variable."),
    option(
        "--render",
        action="store_true",
        help="Take the cell for a Jinja2 template over the notebook's variables: {{ name }}.",
    ),
)
"""Options that only a cell has."""


def _under_heading(options: Iterable[MagicOption], group: str) -> tuple[MagicOption, ...]:
    return tuple(msgspec.structs.replace(each, group=group) for each in options)


def cell_options() -> tuple[MagicOption, ...]:
    """Return the options of a cell."""
    return (
        *(each for name in GROUPS for each in _under_heading(GROUPS[name].options, name)),
        *_under_heading((*RUN_OPTIONS, *CELL_OPTIONS), "the cell"),
    )


def terminal_options() -> tuple[MagicOption, ...]:
    """Return the options of a script in a terminal."""
    names = [name for name in GROUPS if name not in NOTEBOOK_GROUPS]
    return (
        *(each for name in names for each in _under_heading(GROUPS[name].options, name)),
        *_under_heading(RUN_OPTIONS, "the command"),
    )


def job_fields(
    options: argparse.Namespace, context: CellContext, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the arguments of `Client.submit` that a line asks for.

    A later group overrides a field of an earlier one; dictionaries are merged.

    Parameters
    ----------
    without
        Groups whose options the line does not have.
    """
    fields: dict[str, Any] = {"script": context.text}
    for group in (GROUPS[name] for name in GROUPS if name not in without):
        for name, value in group.fields(options, context).items():
            earlier = fields.get(name)
            if isinstance(earlier, dict) and isinstance(value, dict):
                value = {**earlier, **value}
            fields[name] = value
    return fields


def run_completion_hooks(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    """Call every group's `on_completion` when a job has COMPLETED."""
    for group in GROUPS.values():
        group.on_completion(options, job, context)
