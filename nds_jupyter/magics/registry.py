"""Registry of all magics and their parsers; importing it is slow, see `extension`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nds_jupyter.magics.access_lines import AccessLines
from nds_jupyter.magics.completion import LineCompleter
from nds_jupyter.magics.data_lines import DataLines
from nds_jupyter.magics.job_cell import JobCell
from nds_jupyter.magics.job_lines import JobLines
from nds_jupyter.magics.parser import LineParser
from nds_jupyter.magics.server_lines import PanelLines, ServerLines
from nds_jupyter.magics.session import MagicsSession

__all__ = ["MAGICS_CLASSES", "MagicsRegistry", "line_parsers"]

MAGICS_CLASSES = (JobCell, JobLines, DataLines, AccessLines, ServerLines, PanelLines)


class MagicsRegistry:
    """Magics of one shell; creating it registers them there."""

    def __init__(self, shell: InteractiveShell, session: MagicsSession) -> None:
        self.completer = LineCompleter(session, line_parsers())
        instances = [each(shell, session) for each in MAGICS_CLASSES]
        self._magics: dict[tuple[str, str], Callable[..., Any]] = {
            (kind, name): magic
            for each in instances
            for kind, magics in each.magics.items()
            for name, magic in magics.items()
        }
        shell.register_magics(*instances)

    def magic(self, kind: str, name: str) -> Callable[..., Any]:
        """Return a magic by its kind, ``line`` or ``cell``, and its name."""
        return self._magics[kind, name]


def line_parsers() -> dict[str, Callable[[], LineParser]]:
    """Return the functions that create the parsers, by the magic's name with percent signs."""
    return {
        f"{sign}{name}": getattr(magics_class, method).line_parser
        for magics_class in MAGICS_CLASSES
        for sign, kind in (("%%", "cell"), ("%", "line"))
        for name, method in magics_class.magics[kind].items()
    }
