"""Parser of a magic's line: options, numbers, times, and suggestions for typing errors."""

from __future__ import annotations

import argparse
import difflib
import functools
import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.magics.error_display import without_traceback


def at_least(minimum: int) -> Callable[[str], int]:
    """Return a type for an option that parses a whole number and checks its minimum."""

    def parse_count(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {minimum} up")
        return number

    return parse_count


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta | None:
    """Return the duration of ``90m`` or ``2h``; None for another text."""
    match = _DURATION.fullmatch(text.strip())
    return timedelta(**{_UNITS[match[2]]: float(match[1])}) if match else None


def parse_seconds(text: str) -> float:
    """Return the seconds of a number, or of a duration like ``90m``, for an option."""
    duration = parse_duration(text)
    try:
        return float(text) if duration is None else duration.total_seconds()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write it in seconds, or like 90m, 2h or 1d"
        ) from None


def parse_time(text: str) -> datetime:
    """Return the time of a text: a duration ago, or a date, local unless it has a zone."""
    ago = parse_duration(text)
    if ago is not None:
        return datetime.now(UTC) - ago
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as exc:
        raise UsageError(f"--since: {text!r} is no time. Write it like 2h or 2026-01-31.") from exc


T = TypeVar("T")

NO_FLAGS: Mapping[str, str] = MappingProxyType({})

MAX_OPTIONS_IN_USAGE = 10
"""Number of options above which the line of usage does not list them."""


class MagicOption(msgspec.Struct, frozen=True, kw_only=True):
    """One option or argument of a magic.

    Parameters
    ----------
    flags
        ``--image``; a name without dashes is an argument.
    settings
        Arguments of `argparse.ArgumentParser.add_argument`.
    completes
        Kind of its value, for completion: ``image``, ``job``, ``variable``, ``data``, ``file``.
    group
        Its heading in help.
    """

    flags: tuple[str, ...]
    settings: dict[str, Any]
    completes: str = ""
    group: str = ""


def option(*flags: str, completes: str = "", **settings: Any) -> MagicOption:
    """Return an option; the settings are those of `argparse`."""
    return MagicOption(flags=flags, settings=settings, completes=completes)


def add_options(parser: argparse.ArgumentParser, options: Iterable[MagicOption]) -> None:
    """Add options to a parser, each under its heading."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for each in options:
        container: argparse._ActionsContainer = parser
        if each.group:
            if each.group not in groups:
                groups[each.group] = parser.add_argument_group(each.group)
            container = groups[each.group]
        container.add_argument(*each.flags, **each.settings)


def unknown_word_message(
    words: Sequence[str], options: Iterable[MagicOption], elsewhere: Mapping[str, str] = NO_FLAGS
) -> str:
    """Return what is wrong with words that no option takes, and what they may have meant.

    Parameters
    ----------
    elsewhere
        Options that would be right in another place, and what to do here instead.
    """
    word = next((each for each in words if each.startswith("-")), words[0])
    if not word.startswith("-"):
        return f"there is one word too many, {word!r}"
    if instead := elsewhere.get(word.partition("=")[0]):
        return instead
    flags = [flag for each in options for flag in each.flags if flag.startswith("-")]
    similar = difflib.get_close_matches(word.partition("=")[0], flags, n=1, cutoff=0.5)
    return f"there is no option {word}" + (f"; did you mean {similar[0]}?" if similar else "")


ARGPARSE_REWORDINGS = (
    (re.compile(r"^argument ([^:]+): "), r"\1: "),
    (re.compile(r"invalid float value: (.*)$"), r"\1 is not a number"),
    (re.compile(r"invalid int value: (.*)$"), r"\1 is not a whole number"),
    (re.compile(r"expected one argument$"), "it needs a value"),
    (re.compile(r"expected at least one argument$"), "it needs at least one value"),
    (re.compile(r"^the following arguments are required: "), "there is something missing: "),
    (re.compile(r"invalid choice: (.*) \(choose from (.*)\)$"), r"there is no \1; there are \2"),
)
"""Patterns of messages of `argparse`, and their wording for users."""


def reword_argparse_error(message: str) -> str:
    """Return a message of `argparse` as a sentence for users."""
    for pattern, words in ARGPARSE_REWORDINGS:
        message = pattern.sub(words, message)
    return message if message.endswith((".", "?")) else f"{message}."


class LineParser(argparse.ArgumentParser):
    """Parser of the line of one magic.

    Parameters
    ----------
    magic
        Its name, with its percent signs.
    options
        Its options and arguments.
    examples
        Cells or lines that show how it is used.
    """

    def __init__(
        self, magic: str, description: str, options: Iterable[MagicOption], examples: str = ""
    ) -> None:
        self.options = tuple(options)
        short = f"{magic} [options]".replace("%", "%%")
        super().__init__(
            prog=magic,
            usage=short if len(self.options) > MAX_OPTIONS_IN_USAGE else None,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.examples = examples.strip("\n")
        add_options(self, self.options)

    def format_help(self) -> str:
        """Return the help: description, examples, usage, options."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        for group in self._action_groups:
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(group._group_actions)
            formatter.end_section()
        examples = f"Examples\n--------\n{self.examples}" if self.examples else ""
        parts = (self.description or "", examples, formatter.format_help())
        return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the line as a `UsageError`."""
        raise UsageError(
            f"{self.prog}: {reword_argparse_error(message)} {self.prog}? shows what it takes."
        )

    def parse_line(self, line: str) -> argparse.Namespace:
        """Parse a line; quotes group words as in a shell."""
        try:
            words = shlex.split(line)
        except ValueError as exc:
            self.error(f"{str(exc).rstrip('.').lower()} in {line!r}")
        options, unknown = self.parse_known_args(words)
        if unknown:
            self.error(unknown_word_message(unknown, self.options))
        return options


def magic_options(
    *options: MagicOption, examples: str = ""
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator that passes a magic its parsed options instead of a line.

    The options become part of its help, and our own errors are shown as sentences. Its parser is
    created when it is first needed: a notebook uses few of the magics.

    Parameters
    ----------
    examples
        Part of its help.
    """

    def decorate(magic: Callable[..., T]) -> Callable[..., T]:
        sign = "%%" if "cell" in inspect.signature(magic).parameters else "%"
        doc = inspect.cleandoc(magic.__doc__ or "")

        @functools.cache
        def line_parser() -> LineParser:
            return LineParser(sign + magic.__name__, doc, options, examples)

        @functools.wraps(magic)
        def call(self: object, line: str, *cell: str) -> T:
            return magic(self, line_parser().parse_line(line), *cell)

        decorated = without_traceback(call)
        decorated.line_parser = line_parser  # type: ignore[attr-defined]
        # IPython asks for help in this way.
        decorated.getdoc = lambda: line_parser().format_help()  # type: ignore[attr-defined]
        return decorated

    return decorate
