"""`--in`, `--out` and `--pickle`: variables of the notebook travel into the script, and back."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError

from nds_jupyter.job import Job
from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import option
from nds_jupyter.values.bundle import make_bundle, read_value, sizes_text

ARCHIVE = "cell.pyz"


def _fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    for name in (*options.ins, *options.outs):
        if not name.isidentifier():
            raise UsageError(f"--in, --out: {name!r} is not the name of a variable.")
    values = {name: _variable(name, context.namespace) for name in options.ins}
    if not values and not options.outs:
        return {}
    python = _python(context.text, options)
    if python is None:
        return _fields_of_other_language(options)
    scriptname = options.scriptname or "cell.py"
    bundle, sizes = make_bundle(
        context.text,
        values,
        options.outs,
        allow_pickle=options.pickle,
        path=f"/nds/{scriptname}",
    )
    if sizes:
        context.notes.append(sizes_text("--in", sizes))
    return {
        "script": bundle,
        "scriptname": ARCHIVE,
        "command": [*python, f"/nds/{ARCHIVE}"],
    }


def _fields_of_other_language(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.ins:
        raise UsageError(
            "--in: only a Python cell finds variables in its namespace. Write them to a file, and "
            "name that by --data."
        )
    return {"env": {"NDS_OUT": "/results"}}


def _variable(name: str, namespace: Mapping[str, Any]) -> object:
    if name not in namespace:
        raise UsageError(f"--in {name}: the notebook has no variable of that name.")
    return namespace[name]


def _python(text: str, options: argparse.Namespace) -> list[str] | None:
    """Return what runs a Python cell; None if the cell is not Python."""
    if options.cmd or not (options.scriptname or ".py").endswith(".py"):
        return None
    if not text.startswith("#!"):
        return ["python3"]
    shebang = shlex.split(text.partition("\n")[0][2:])
    return shebang if any("python" in word for word in shebang) else None


def _bring_back(options: argparse.Namespace, job: Job, context: CellContext) -> None:
    sizes = {}
    for name in options.outs:
        value, sizes[name] = read_value(job, name, allow_pickle=options.pickle)
        context.namespace[name] = value
    if sizes:
        context.notes.append(sizes_text("--out", sizes))


VALUES = JobOptions(
    options=(
        option(
            "--in",
            dest="ins",
            action="append",
            default=[],
            metavar="NAME",
            completes="variable",
            help="A variable of the notebook that the Python script finds in its namespace: plain "
            "values travel as JSON, tables as Arrow, arrays as .npy; repeatable.",
        ),
        option(
            "--out",
            dest="outs",
            action="append",
            default=[],
            metavar="NAME",
            completes="variable",
            help="A variable that the script leaves behind for the notebook; a script that is not "
            "Python writes $NDS_OUT/NAME.json or NAME.txt; repeatable.",
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
