"""The reference of magics and of the command line, made from their parsers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby

from nds_jupyter.cli.program import COMMANDS, PROGRAM, SERVER_OPTIONS, format_examples
from nds_jupyter.magics.parser import LineParser, MagicOption
from nds_jupyter.magics.registry import line_parsers
from nds_jupyter.magics.settings import NdsMagics


def magics() -> str:
    """Return every magic with its options."""
    return "\n\n".join(_section(made()) for _, made in sorted(line_parsers().items()))


def _section(parser: LineParser) -> str:
    parts = [f"### `{parser.prog}`", parser.description or ""]
    # Examples that come with sentences are indented already.
    told = "\n    " in parser.examples
    parts.append(parser.examples if told else textwrap.indent(parser.examples, "    "))
    return "\n\n".join([*parts, *_tables(parser.options)])


def commands() -> str:
    """Return every command of the command line with its options."""
    server = ", ".join(f"`{each.flags[0]}` ({_what(each)})" for each in SERVER_OPTIONS)
    parts = [f"Before the command: {server}"]
    for each in COMMANDS:
        parts += [f"### `{PROGRAM} {each.name}`", each.summary, format_examples(each, "    ")]
        parts += _tables(each.options)
    return "\n\n".join(parts)


def _tables(options: Iterable[MagicOption]) -> Iterator[str]:
    """Return a table for the options of each heading."""
    for group, those in groupby(options, lambda each: each.group):
        title = group.capitalize() or "option"
        yield "\n".join([f"| {title} | |", "| --- | --- |", *_rows(those)])


def _rows(options: Iterable[MagicOption]) -> Iterator[str]:
    for option in options:
        choices = option.settings.get("choices")
        value = "" if option.settings.get("action") == "store_true" else _value(option)
        name = ", ".join(option.flags) + (f" {value}" if value else "")
        what = _what(option)
        known = f" One of {', '.join(map(str, choices))}." if choices else ""
        shown = name.replace("|", "\\|")
        yield f"| `{shown}` | {what}{known} |"


def _what(option: MagicOption) -> str:
    return str(option.settings.get("help", "")).replace("|", "\\|")


def _value(option: MagicOption) -> str:
    named = option.settings.get("metavar")
    return str(named or (option.flags[-1].lstrip("-").upper() if option.flags[0][0] == "-" else ""))


def magic_settings() -> str:
    """Return what `%config NdsMagics` and `[tool.nds]` set."""
    rows = ["| setting | default | what |", "| --- | --- | --- |"]
    for name, trait in sorted(NdsMagics.class_traits(config=True).items()):
        rows.append(f"| `{name}` | `{trait.default_value!r}` | {trait.help} |")
    return "\n".join(rows)
