"""The reference of magics, made from their parsers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nds_jupyter.magics import LINES, NdsMagics
from nds_jupyter.magics.parser import LineParser, Option


def magics() -> str:
    """Return every magic with its options."""
    return "\n\n".join(_section(parser) for parser in _parsers())


def _parsers() -> Iterator[LineParser]:
    yield NdsMagics.ndsjob.parser
    lines = {name: owner for owner in LINES for name in owner.magics["line"]}
    for name in sorted(lines):
        yield getattr(lines[name], name).parser


def _section(parser: LineParser) -> str:
    summary, _, rest = (parser.description or "").replace("%%", "%").partition("\n")
    text = (
        rest.replace("            %ndsjob", "            %%ndsjob")
        .replace("::\n", ":\n")
        .strip("\n")
    )
    parts = [f"### `{parser.prog}`", summary, *([text] if text.strip() else [])]
    rows = list(_rows(parser.options))
    if rows:
        parts.append("\n".join(["| option | what |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _rows(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        choices = option.settings.get("choices")
        value = "" if option.settings.get("action") == "store_true" else _value(option)
        name = ", ".join(option.flags) + (f" {value}" if value else "")
        what = str(option.settings.get("help", "")).replace("|", "\\|")
        known = f" One of {', '.join(map(str, choices))}." if choices else ""
        yield f"| `{name}` | {what}{known} |"


def _value(option: Option) -> str:
    named = option.settings.get("metavar")
    return str(named or (option.flags[-1].lstrip("-").upper() if option.flags[0][0] == "-" else ""))


def magic_settings() -> str:
    """Return what `%config NdsMagics` and `[tool.nds]` set."""
    rows = ["| setting | default | what |", "| --- | --- | --- |"]
    for name, trait in sorted(NdsMagics.class_traits(config=True).items()):
        rows.append(f"| `{name}` | `{trait.default_value!r}` | {trait.help} |")
    return "\n".join(rows)
