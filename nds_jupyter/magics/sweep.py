"""`%%ndsjob --sweep`: a cell at many points, a job each."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.core.error import UsageError

from nds_jupyter.magics.counts import at_least
from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import option

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


def _fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
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
    fields=_fields,
)
"""Many points instead of one."""
