"""The line of a magic: the options it takes, and what a typing error may have meant."""

from __future__ import annotations

import argparse
import difflib
import functools
import inspect
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec
from IPython.core.error import UsageError

from nds_jupyter.magics.failure import in_a_sentence

T = TypeVar("T")


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option or argument of a magic.

    Parameters
    ----------
    flags
        ``--image``; a name without dashes is an argument.
    settings
        What `argparse.ArgumentParser.add_argument` takes.
    completes
        What its value names, for completion: ``image``, ``job``, ``variable``, ``data``, ``file``.
    """

    flags: tuple[str, ...]
    settings: dict[str, Any]
    completes: str = ""


def option(*flags: str, completes: str = "", **settings: Any) -> Option:
    """Return an option; the settings are those of `argparse`."""
    return Option(flags=flags, settings=settings, completes=completes)


class LineParser(argparse.ArgumentParser):
    """Parses the line of one magic.

    Parameters
    ----------
    magic
        Its name, with its percent signs.
    options
        What it takes.
    """

    def __init__(self, magic: str, description: str, options: Iterable[Option]) -> None:
        super().__init__(
            prog=magic,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.options = tuple(options)
        for each in self.options:
            self.add_argument(*each.flags, **each.settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the line."""
        raise UsageError(f"{self.prog}: {message}. {self.prog}? shows what it takes.")

    def parse_line(self, line: str) -> argparse.Namespace:
        """Return the values of a line; quotes group words as in a shell."""
        try:
            words = shlex.split(line)
        except ValueError as exc:
            self.error(f"{str(exc).rstrip('.').lower()} in {line!r}")
        options, unknown = self.parse_known_args(words)
        if unknown:
            self.error(self._unknown(unknown))
        return options

    def _unknown(self, words: Sequence[str]) -> str:
        word = next((each for each in words if each.startswith("-")), words[0])
        flags = [flag for each in self.options for flag in each.flags if flag.startswith("-")]
        meant = difflib.get_close_matches(word.partition("=")[0], flags, n=1, cutoff=0.5)
        if not word.startswith("-"):
            return f"there is one word too many, {word!r}"
        return f"there is no option {word}" + (f"; did you mean {meant[0]}?" if meant else "")


def takes(*options: Option) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Let a magic take the values of its options instead of a line.

    The options become part of its help, and our own errors are shown as sentences.
    """

    def decorate(magic: Callable[..., T]) -> Callable[..., T]:
        sign = "%%" if "cell" in inspect.signature(magic).parameters else "%"
        parser = LineParser(sign + magic.__name__, _dedented(magic.__doc__), options)

        @functools.wraps(magic)
        def call(self: object, line: str, *cell: str) -> T:
            return magic(self, parser.parse_line(line), *cell)

        call.__doc__ = parser.format_help()
        told = in_a_sentence(call)
        told.parser = parser  # type: ignore[attr-defined]
        return told

    return decorate


def _dedented(doc: str | None) -> str:
    first, _, rest = (doc or "").partition("\n")
    lines = [line.removeprefix("        ") for line in rest.splitlines()]
    return "\n".join([first, *lines]).strip().replace("%", "%%")
