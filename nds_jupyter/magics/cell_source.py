"""Source of the running cell as the user wrote it, and labels of its provenance."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_MAGIC_LINE = re.compile(r"%%ndsjob(?!\S)")


def add_empty_body(lines: list[str]) -> list[str]:
    """Transform the lines of a cell: `%%ndsjob` alone gets an empty line below it.

    IPython does not call the magic of a cell that has nothing below its line, and answers in
    words of its own that do not say what to write.
    """
    alone = len(lines) == 1 and _MAGIC_LINE.match(lines[0])
    return [*lines, "\n"] if alone else lines


# A terminal asks whether a cell is complete: with only its first line it is not.
add_empty_body.has_side_effects = True  # type: ignore[attr-defined]


class CellSource:
    """Raw source and id of the running cell.

    IPython hands a cell magic what its input transformations leave: prompts taken away, a line end
    added. A script has to arrive as it was written.

    Parameters
    ----------
    shell
        Its events say when a cell begins and ends.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._raw = ""
        self.cell_id: str | None = None
        shell.events.register("pre_run_cell", self._on_cell_start)
        shell.events.register("post_run_cell", self._on_cell_end)
        # After IPython's own, which take what is above the first line away.
        if add_empty_body not in shell.input_transformers_cleanup:
            shell.input_transformers_cleanup.append(add_empty_body)

    def _on_cell_start(self, info: Any) -> None:
        self._raw = info.raw_cell or ""
        self.cell_id = getattr(info, "cell_id", None)

    def _on_cell_end(self, _result: Any) -> None:
        # A silent cell has no event at its start; it must not be taken for the one before.
        self._raw, self.cell_id = "", None

    def script(self, fallback: str) -> str:
        """Return the text below the magic's line, byte for byte.

        Parameters
        ----------
        fallback
            The text that IPython hands over; returned where the magic is not the cell's first
            line, since then another magic, or a program, made that text.
        """
        lines = self._raw.splitlines(keepends=True)
        while lines and not lines[0].strip():
            del lines[0]
        if not lines or _MAGIC_LINE.match(lines[0]) is None:
            return fallback
        return "".join(lines[1:])


SESSION_NAME = "JPY_SESSION_NAME"
"""Variable of the environment by which a Jupyter server tells a kernel the path of its notebook."""

VSCODE_NAME = "__vsc_ipynb_file__"


def origin_labels(text: str, cell_id: str | None, namespace: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a job that say which cell it comes from.

    Parameters
    ----------
    text
        The cell, whose SHA-256 is a label.
    """
    labels = {"cell.sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()}
    notebook = os.environ.get(SESSION_NAME) or namespace.get(VSCODE_NAME)
    if notebook:
        labels["notebook"] = str(notebook)
    if cell_id:
        labels["cell.id"] = cell_id
    return labels
