"""IPython extension: registers names and settings at once, loads the rest on first use.

What the magics need takes longer to import than a notebook should wait for an extension that its
next cell may not use. So each magic is at first a stand-in, which gets the real one from
`vocabulary` when it is called, asked for help, or completed.
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

NAMES = {
    "cell": ("ndsjob",),
    "line": (
        "ndsdata",
        "ndsdiff",
        "ndsdoctor",
        "ndsget",
        "ndsimages",
        "ndsinfo",
        "ndsjobs",
        "ndslogs",
        "ndsls",
        "ndsmeta",
        "ndsmetric",
        "ndspanel",
        "ndsput",
        "ndsstop",
        "ndsvalues",
    ),
}
"""Every magic, by its kind."""

MATCHER = "nds_jupyter"
"""What the completer of a shell knows ours by."""

_OUR_LINE = re.compile(r"\s*%%?nds\w* ")


def register(shell: InteractiveShell) -> None:
    """Add every magic to a shell."""
    settings = NdsMagics(shell)
    try:
        settings.read_project(Path.cwd())
    except InvalidRequest as exc:
        print(exc, file=sys.stderr)  # noqa: T201
    source = CellSource(shell)

    vocabulary = functools.cache(lambda: _vocabulary(shell, settings, source))
    for kind, names in NAMES.items():
        for name in names:
            stand_in = _stand_in(vocabulary, kind, name)
            shell.magics_manager.register_function(stand_in, kind, name)
    # Loaded again, the extension takes the place of what was there.
    others = [each for each in shell.Completer.custom_matchers if _identifier(each) != MATCHER]
    shell.Completer.custom_matchers = [*others, _matcher(vocabulary)]


def _vocabulary(shell: InteractiveShell, settings: NdsMagics, source: CellSource) -> MagicsRegistry:
    from nds_jupyter.magics.registry import MagicsRegistry
    from nds_jupyter.magics.session import MagicsSession

    return MagicsRegistry(shell, MagicsSession(shell, settings, source))


def _stand_in(vocabulary: Callable[[], MagicsRegistry], kind: str, name: str) -> Callable[..., Any]:
    def magic() -> Callable[..., Any]:
        return vocabulary().magic(kind, name)

    def call(*words: str) -> Any:
        return magic()(*words)

    call.__name__ = call.__qualname__ = name
    # IPython asks for help in this way, so that it can be made when it is asked for.
    call.getdoc = lambda: magic().getdoc()  # type: ignore[attr-defined]
    return call if kind == "line" else no_var_expand(call)


def _matcher(vocabulary: Callable[[], MagicsRegistry]) -> Any:
    @context_matcher(identifier=MATCHER, priority=1000)
    def match(context: CompletionContext) -> dict[str, Any]:
        if not _OUR_LINE.match(context.full_text.split("\n")[context.cursor_line]):
            return {"completions": []}
        offer: dict[str, Any] = vocabulary().completion.offer(context)
        return offer

    return match


def _identifier(matcher: object) -> str:
    return str(getattr(matcher, "matcher_identifier", ""))
