"""The text of a cell as the user wrote it."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_MAGIC_LINE = re.compile(r"%%ndsjob(?!\S)")


class CellSource:
    """Remembers the cell that runs.

    IPython hands a cell magic what its input transformations leave: prompts taken away, a line end
    added. A script has to arrive as it was written.

    Parameters
    ----------
    shell
        Tells when a cell begins.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._raw = ""
        self.cell_id: str | None = None
        shell.events.register("pre_run_cell", self._begun)
        shell.events.register("post_run_cell", self._ended)

    def _begun(self, info: Any) -> None:
        self._raw = info.raw_cell or ""
        self.cell_id = getattr(info, "cell_id", None)

    def _ended(self, _result: Any) -> None:
        # A silent cell does not tell that it begins; it must not be taken for the one before.
        self._raw, self.cell_id = "", None

    def body(self, given: str) -> str:
        """Return what follows the magic's line, byte for byte.

        Parameters
        ----------
        given
            What IPython hands over; returned where the magic is not the cell's first line, since
            then another magic, or a program, made that text.
        """
        lines = self._raw.splitlines(keepends=True)
        while lines and not lines[0].strip():
            del lines[0]
        if not lines or _MAGIC_LINE.match(lines[0]) is None:
            return given
        return "".join(lines[1:])
