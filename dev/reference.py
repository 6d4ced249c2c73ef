"""Write the parts of docs/ that are made from the code: `make docs`.

A generated part stands between two comments that name it; the rest of the page is written by hand.
A test fails while a part differs from the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from traitlets.traitlets import TraitType

from dev.magic_reference import commands, magic_settings, magics

DOCS = Path(__file__).resolve().parent.parent / "docs"


def settings() -> str:
    """Return every setting of the server extension as a table."""
    from nds_jupyter.configuration.traits import Configuration

    traits: dict[str, TraitType[object, object]] = Configuration.class_traits(config=True)
    rows = ["| setting | default | what |", "| --- | --- | --- |"]
    rows += [
        f"| `c.NdsApp.{name}` | {_default(trait)} | {_cell(str(trait.help))} |"
        for name, trait in sorted(traits.items())
    ]
    return "\n".join(rows)


def _default(trait: TraitType[object, object]) -> str:
    # A default that is worked out on the machine is described by the help.
    method = f"_default_{trait.name}"
    if hasattr(trait.this_class, method):
        return ""
    shown = repr(getattr(trait.this_class(), str(trait.name)))
    return "" if shown == "''" else f"`{_cell(shown)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("configuration.md", settings),
    "magics": ("magics.md", magics),
    "magic settings": ("magics.md", magic_settings),
    "commands": ("magics.md", commands),
}
"""By name: the page, and what makes the part."""


def with_part(page: str, name: str, content: str) -> str:
    """Return a page with one generated part made anew."""
    begin, end = f"<!-- {name}: made from the code by `make docs` -->", f"<!-- end of {name} -->"
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    if pattern.search(page) is None:
        raise ValueError(f"The page has no part {name!r}.")
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", page)


def pages() -> dict[Path, str]:
    """Return every page that has generated parts, as it should be."""
    made: dict[Path, str] = {}
    for name, (file, make) in PARTS.items():
        path = DOCS / file
        made[path] = with_part(made.get(path) or path.read_text("utf-8"), name, make())
    return made


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
