"""`%%ndsjob --requirements --dockerfile`: the image is built first, once."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError

from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import option

_MARKED = re.compile(r"[;@]|^-")
"""What makes one requirement of words with blanks between them: a marker, a URL, pip's options."""


def _fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
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
    fields=_fields,
)
"""What is built on top of the image."""
