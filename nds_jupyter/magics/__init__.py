"""The magics: parse a line, call the client, return an object.

Each module of line magics has a `Magics` class that is made with the shared `Session`, and a place
in `LINES`; options of `%%ndsjob` are added in `job_options`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.magics.completion import Completion
from nds_jupyter.magics.data_lines import DataLines
from nds_jupyter.magics.job_cell import NdsMagics
from nds_jupyter.magics.job_lines import JobLines
from nds_jupyter.magics.panel_lines import PanelLines
from nds_jupyter.magics.server_lines import ServerLines
from nds_jupyter.magics.value_lines import ValueLines

__all__ = ["LINES", "NdsMagics", "register"]

LINES = (JobLines, DataLines, ServerLines, PanelLines, ValueLines)


def register(shell: InteractiveShell) -> None:
    """Add every magic to a shell."""
    cell = NdsMagics(shell)
    try:
        cell.read_project(Path.cwd())
    except InvalidRequest as exc:
        print(exc, file=sys.stderr)  # noqa: T201
    Completion(cell.session).attach(shell, (cell, *LINES))
    shell.register_magics(cell, *(lines(shell, cell.session) for lines in LINES))
