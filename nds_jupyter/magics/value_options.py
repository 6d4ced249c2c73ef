"""Options `--in`, `--out` and `--pickle`: variables that travel into the script and back."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.core.error import UsageError

from nds_jupyter.client.job import Job
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.script import NAME
from nds_jupyter.jobs.sizes import size_text
from nds_jupyter.magics.cell_run import UploadProgress
from nds_jupyter.magics.error_display import interrupted
from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import option
from nds_jupyter.values.bundle import RequestedValue, ValueOptions, bundle_of_cell, bundle_of_script
from nds_jupyter.values.returned import LABEL, fetch


def _fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    ins, outs = _wishes(options.ins, "--in"), _wishes(options.outs, "--out")
    if not ins and not outs:
        return {}
    values = {wish: _variable(wish.name, context.namespace) for wish in ins}
    shebang = _shebang_of_python(context.text, options)
    terms = ValueOptions(
        allow_pickle=options.pickle,
        most=context.defaults.most_of_value,
        for_python=shebang is not None,
    )
    fields: dict[str, Any] = {"labels": {LABEL: " ".join(options.outs)}} if outs else {}
    try:
        if shebang is None:
            bundle = bundle_of_script(context.text, values, terms)
        else:
            path = f"/nds/{options.scriptname or 'cell.py'}"
            bundle = bundle_of_cell(context.text, values, outs, terms, path=path, shebang=shebang)
            fields |= {"script": bundle.script, "scriptname": NAME}
    except KeyboardInterrupt:
        raise interrupted("Nothing was submitted.") from None
    if bundle.sizes:
        context.notes.append(_sizes_text("--in", bundle.sizes))
    return fields | {"files": bundle.files or None}


def _wishes(given: Sequence[str], flag: str) -> list[RequestedValue]:
    try:
        wishes = [RequestedValue.parse(text, flag) for text in given]
    except InvalidRequest as exc:
        raise UsageError(exc.message) from exc
    names = [wish.name for wish in wishes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{flag} {twice}: it is given more than once.")
    return wishes


def _variable(name: str, namespace: Mapping[str, Any]) -> object:
    if name not in namespace:
        raise UsageError(f"--in {name}: the notebook has no variable of that name.")
    return namespace[name]


def _shebang_of_python(text: str, options: argparse.Namespace) -> str | None:
    """Return the cell's first line if it names a Python, empty for the image's own.

    None for a script of another language.
    """
    if options.cmd or not (options.scriptname or ".py").endswith(".py"):
        return None
    if not text.startswith("#!"):
        return ""
    line = text.partition("\n")[0].rstrip()
    return line if any("python" in word for word in shlex.split(line[2:])) else None


def _bring_back(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    terms = ValueOptions(allow_pickle=options.pickle, most=context.defaults.most_of_value)
    try:
        note = bring_back(job, options.outs, context.namespace, terms, context.sending)
    except KeyboardInterrupt:
        raise interrupted(
            f"The job has ended well; %ndsvalues {job.id} brings its values."
        ) from None
    if note:
        context.notes.append(note)


def bring_back(
    job: Job,
    names: Sequence[str],
    namespace: dict[str, Any],
    terms: ValueOptions,
    sending: UploadProgress,
) -> str:
    """Bind variables to the values that a job left, all of them or none, and say their sizes.

    Parameters
    ----------
    names
        As after ``--out``.
    sending
        Shows how far they are.
    """
    found = {
        wish.name: fetch(
            job,
            wish,
            allow_pickle=terms.allow_pickle,
            most=terms.most,
            progress=sending.at_once,
        )
        for wish in _wishes(names, "--out")
    }
    # Half of what was asked for would be taken for all of it.
    namespace.update({name: each.value for name, each in found.items()})
    return _sizes_text("--out", {name: each.size for name, each in found.items()})


def _sizes_text(sign: str, sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{sign} {name} ({size_text(size)})" for name, size in sizes.items())


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
    fields=_fields,
    finished=_bring_back,
)
"""Values in and out."""
