"""Registry of all magics and their parsers; importing it is slow, see `extension`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nds_jupyter.magics.completion import LineCompleter
from nds_jupyter.magics.data_lines import DataLines
from nds_jupyter.magics.job_cell import JobCell
from nds_jupyter.magics.job_lines import JobLines, ValueLines
from nds_jupyter.magics.parser import LineParser
from nds_jupyter.magics.server_lines import PanelLines, ServerLines
from nds_jupyter.magics.session import MagicsSession

__all__ = ["MAGICS_CLASSES", "MagicsRegistry", "line_parsers"]

MAGICS_CLASSES = (JobCell, JobLines, DataLines, ServerLines, PanelLines, ValueLines)


class MagicsRegistry:
    """The magics of one shell; making it registers them."""

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        self.completion = LineCompleter(session, line_parsers())
        made = [owner(shell, session) for owner in MAGICS_CLASSES]
        self._magics: dict[tuple[str, str], Callable[..., Any]] = {
            (kind, name): magic
            for each in made
            for kind, magics in each.magics.items()
            for name, magic in magics.items()
        }
        shell.register_magics(*made)

    def magic(self, kind: str, name: str) -> Callable[..., Any]:
        """Return a magic of a kind, ``line`` or ``cell``."""
        return self._magics[kind, name]


def line_parsers() -> dict[str, Callable[[], LineParser]]:
    """Return what makes the parser of a magic, by its name with percent signs."""
    return {
        f"{sign}{name}": getattr(owner, method).line_parser
        for owner in MAGICS_CLASSES
        for sign, kind in (("%%", "cell"), ("%", "line"))
        for name, method in owner.magics[kind].items()
    }
