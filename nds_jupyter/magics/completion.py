"""What pressing tab offers on the line of a magic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nds_jupyter.client import Client
from nds_jupyter.errors import NdsError
from nds_jupyter.job import Job
from nds_jupyter.magics.parser import LineParser, Option
from nds_jupyter.magics.session import Session

DEADLINE = 2.0
"""Seconds that the server has for an answer: who presses tab does not wait longer."""

FRESH = 10.0
"""Seconds for which an answer is used again."""

MOST = 50
"""Jobs that are offered."""


class Completion:
    """Completes options, and the values of those that name something.

    Parameters
    ----------
    session
        Knows the server and the notebook's variables.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._values: dict[str, Callable[[str], Iterable[str]]] = {
            "image": lambda _word: self._cached("image", _images),
            "job": self._jobs,
            "variable": lambda _word: self._variables(),
            "data": self._data,
        }

    def add(self, kind: str, candidates: Callable[[str], Iterable[str]]) -> None:
        """Offer values of another kind.

        Parameters
        ----------
        candidates
            From the word so far to whole words.
        """
        self._values[kind] = candidates

    def attach(self, shell: InteractiveShell, magics: Iterable[Any]) -> None:
        """Complete the lines of these magics, objects or classes."""
        for owner in magics:
            for sign, kind in (("%", "line"), ("%%", "cell")):
                for name, function in owner.magics[kind].items():
                    # A class names its methods; an object has them bound.
                    method = getattr(owner, function) if isinstance(function, str) else function
                    parser = getattr(method, "parser", None)
                    if parser is not None:
                        hook = self._hook(parser)
                        shell.set_hook("complete_command", hook, str_key=f"{sign}{name}")

    def _hook(self, parser: LineParser) -> Callable[[object, Any], list[str]]:
        def complete(_shell: object, event: Any) -> list[str]:
            return self.candidates(parser, event.text_until_cursor, event.symbol)

        return complete

    def candidates(self, parser: LineParser, line: str, symbol: str) -> list[str]:
        """Return what may stand in the place of a symbol.

        Parameters
        ----------
        line
            The text up to the cursor.
        symbol
            The part of its last word that IPython replaces: it takes ``:`` and ``/`` for the end of
            one.
        """
        words = line.split(" ")
        word = words[-1]
        head = word[: len(word) - len(symbol)]
        option = _option_before(parser, words[1:-1])
        try:
            found = self._found(parser, option, word)
        except NdsError:
            return []
        fitting = dict.fromkeys(each for each in found if each.startswith(word))
        return [each[len(head) :] for each in fitting]

    def _found(self, parser: LineParser, option: Option | None, word: str) -> Iterable[str]:
        if option is not None:
            return option.settings.get("choices") or self._of_kind(option.completes, word)
        flags = [flag for each in parser.options for flag in each.flags if flag.startswith("--")]
        kinds = [each.completes for each in parser.options if not each.flags[0].startswith("-")]
        if word.startswith("-"):
            return flags
        values = [value for kind in kinds for value in self._of_kind(kind, word)]
        return [*values, *(flags if not word else ())]

    def _of_kind(self, kind: str, word: str) -> Iterable[str]:
        candidates = self._values.get(kind)
        return candidates(word) if candidates else ()

    def _variables(self) -> list[str]:
        return [name for name in self._session.namespace if not name.startswith("_")]

    def _jobs(self, _word: str) -> list[str]:
        names = self._session.namespace
        variables = [
            name
            for name, value in names.items()
            if isinstance(value, Job) and not name.startswith("_")
        ]
        return [*variables, *self._cached("job", _job_words)]

    def _data(self, word: str) -> list[str]:
        settings = self._session.settings
        with Client(settings.url, settings.token, timeout=DEADLINE) as client:
            return client.data.names(word)

    def _cached(self, kind: str, ask: Callable[[Client], list[str]]) -> list[str]:
        asked, words = self._known.get(kind, (-FRESH, []))
        if time.monotonic() - asked > FRESH:
            settings = self._session.settings
            with Client(settings.url, settings.token, timeout=DEADLINE) as client:
                words = ask(client)
            self._known[kind] = (time.monotonic(), words)
        return words


def _option_before(parser: LineParser, words: list[str]) -> Option | None:
    """Return the option whose value the word at the cursor is."""
    last = words[-1] if words else ""
    for option in parser.options:
        if last.startswith("-") and last in option.flags:
            takes_value = option.settings.get("action", "store") in {"store", "append"}
            return option if takes_value else None
    return None


def _images(client: Client) -> list[str]:
    return [f"{each.name}:{each.tag}" for each in client.images()]


def _job_words(client: Client) -> list[str]:
    """Return names first: they say more than ids do."""
    jobs = client.jobs(limit=MOST)
    names = [job.view.name for job in jobs if job.view.name and " " not in job.view.name]
    return [*names, *(job.id for job in jobs)]
