"""IPython extension: registers names and settings at once, loads the rest on first use.

What the magics need takes longer to import than a notebook should wait for an extension that its
next cell may not use. So each magic is at first a lazy one, which gets the real one from
`registry` when it is called, asked for help, or completed.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, context_matcher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.magics.cell_source import CellSource
from nds_jupyter.magics.settings import NdsMagics

if TYPE_CHECKING:
    from nds_jupyter.magics.registry import MagicsRegistry

MAGIC_NAMES = {
    "cell": ("ndsjob",),
    "line": (
        "ndsdata",
        "ndsdiff",
        "ndsdoctor",
        "ndsget",
        "ndsimages",
        "ndsinfo",
        "ndsjobs",
        "ndslogin",
        "ndslogs",
        "ndsls",
        "ndsmeta",
        "ndsmetric",
        "ndspanel",
        "ndsput",
        "ndsshare",
        "ndsstop",
        "ndsvalues",
    ),
}
"""Names of all magics, by their kind."""

MATCHER_ID = "nds_jupyter"
"""Identifier of our matcher in the completer of a shell."""

_NDS_LINE = re.compile(r"\s*%%?nds\w* ")


def register_magics(shell: InteractiveShell) -> None:
    """Add every magic to a shell."""
    settings = NdsMagics(shell)
    try:
        settings.read_project(Path.cwd())
    except InvalidRequest as exc:
        print(exc, file=sys.stderr)  # noqa: T201
    source = CellSource(shell)

    registry = functools.cache(lambda: _create_registry(shell, settings, source))
    for kind, names in MAGIC_NAMES.items():
        for name in names:
            lazy_magic = _lazy_magic(registry, kind, name)
            shell.magics_manager.register_function(lazy_magic, kind, name)
    # Loaded again, the extension replaces its earlier matcher.
    others = [each for each in shell.Completer.custom_matchers if _matcher_id(each) != MATCHER_ID]
    shell.Completer.custom_matchers = [*others, _create_matcher(registry)]


def _create_registry(
    shell: InteractiveShell, settings: NdsMagics, source: CellSource
) -> MagicsRegistry:
    from nds_jupyter.magics.registry import MagicsRegistry
    from nds_jupyter.magics.session import MagicsSession

    return MagicsRegistry(shell, MagicsSession(shell, settings, source))


def _lazy_magic(registry: Callable[[], MagicsRegistry], kind: str, name: str) -> Callable[..., Any]:
    def magic() -> Callable[..., Any]:
        return registry().magic(kind, name)

    def call(*words: str) -> Any:
        return magic()(*words)

    call.__name__ = call.__qualname__ = name
    # IPython asks for help in this way, so that it can be made on demand.
    call.getdoc = lambda: magic().getdoc()  # type: ignore[attr-defined]
    return call if kind == "line" else no_var_expand(call)


def _create_matcher(registry: Callable[[], MagicsRegistry]) -> Any:
    @context_matcher(identifier=MATCHER_ID, priority=1000)
    def match(context: CompletionContext) -> dict[str, Any]:
        if not _NDS_LINE.match(context.full_text.split("\n")[context.cursor_line]):
            return {"completions": []}
        completions: dict[str, Any] = registry().completer.complete(context)
        return completions

    return match


def _matcher_id(matcher: object) -> str:
    return str(getattr(matcher, "matcher_identifier", ""))
