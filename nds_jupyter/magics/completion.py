"""Tab completion on the line of a magic, with a cache of the server's responses."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from IPython.core.completer import CompletionContext, SimpleCompletion

from nds_jupyter.client import Client
from nds_jupyter.client.job import Job
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.job import JobState
from nds_jupyter.magics.parser import LineParser, MagicOption
from nds_jupyter.magics.session import MagicsSession

MAX_WAIT = 0.6
"""Seconds to wait for the server before what is cached is offered: JupyterLab shows only what comes
within one. A later response is there when tab is pressed again."""

REQUEST_TIMEOUT = 10.0
"""Seconds after which a request is given up."""

MAX_AGE = 10.0
"""Seconds for which a cached response is used."""

MAX_JOBS = 50
"""Number of jobs that are offered."""

MAX_CACHED = 100
"""Number of cached responses."""

ACTIONS_WITH_VALUE = frozenset({"store", "append", "extend"})
"""Actions of options that are followed by a value."""

_WORD = re.compile(r"(?:\\.|[^\s\\])*$")
_SPECIAL_CHARACTERS = re.compile(r"([\s'\"\\])")


class Candidate(msgspec.Struct, frozen=True):
    """A text that is offered, and what it is, which JupyterLab shows beside it."""

    text: str
    description: str = ""


class LineCompleter:
    """Completer of options and their values on the line of a magic.

    Parameters
    ----------
    session
        Gives the server and the notebook's variables.
    parsers
        Functions that create the parsers, by the magic's name with percent signs.
    """

    def __init__(
        self, session: MagicsSession, parsers: Mapping[str, Callable[[], LineParser]]
    ) -> None:
        self._session = session
        self._parsers = parsers
        self._cache: dict[str, tuple[float, list[Candidate]]] = {}
        self._requests: dict[str, threading.Thread] = {}
        self._sources: dict[str, Callable[[str], Iterable[Candidate]]] = {
            "image": lambda _word: self._fetch_cached("image", _image_names),
            "job": lambda _word: self._jobs(),
            "variable": lambda _word: self._variables(),
            "data": self._data,
        }

    def complete(self, context: CompletionContext) -> dict[str, Any]:
        """Return the result of a matcher of IPython's completer."""
        candidates, fragment = self.matches(
            context.full_text, context.cursor_line, context.cursor_position
        )
        completions = [
            SimpleCompletion(each.text, type=_unbreakable(each.description)) for each in candidates
        ]
        return {
            "completions": completions,
            "matched_fragment": fragment,
            "suppress": bool(completions),
        }

    def matches(self, text: str, line: int, column: int) -> tuple[list[Candidate], str]:
        """Return what can be completed at the cursor, and the text before it that is replaced.

        Parameters
        ----------
        text
            The whole cell.
        line, column
            Position of the cursor, both from 0.
        """
        before_cursor = text.split("\n")[line][:column].lstrip()
        name, space, _ = before_cursor.partition(" ")
        parser = self._parsers.get(name)
        # A cell magic begins its cell; below it is the script.
        begins_cell = not "".join(text.split("\n")[:line]).strip()
        if not space or parser is None or (name.startswith("%%") and not begins_cell):
            return [], ""
        return self._matches_on_line(parser(), before_cursor[len(name) :])

    def _matches_on_line(self, parser: LineParser, line: str) -> tuple[list[Candidate], str]:
        match = _WORD.search(line)
        fragment = match[0] if match else ""
        before = line[: len(line) - len(fragment)].split()
        option = _option_of_flag(parser, before[-1] if before else "")
        flag, equals, value = fragment.partition("=")
        if option is None and equals and flag.startswith("--"):
            option, fragment = _option_of_flag(parser, flag), value
        word = re.sub(r"\\(.)", r"\1", fragment)
        candidates = self._candidates(parser, option, word)
        matching = {each.text: each for each in candidates if each.text.startswith(word)}
        return [_escape(each) for each in matching.values()], fragment

    def _candidates(
        self, parser: LineParser, option: MagicOption | None, word: str
    ) -> Iterator[Candidate]:
        if option is not None:
            yield from map(Candidate, option.settings.get("choices") or ())
            yield from self._values_of_kind(option.completes, word)
            return
        if not word.startswith("-"):
            for each in parser.options:
                if not each.flags[0].startswith("-"):
                    yield from self._values_of_kind(each.completes, word)
        if not word or word.startswith("-"):
            for each in parser.options:
                yield from (
                    Candidate(flag, _option_kind(each)) for flag in each.flags if flag[:2] == "--"
                )

    def _values_of_kind(self, kind: str, word: str) -> Iterable[Candidate]:
        source = self._sources.get(kind)
        return source(word) if source else ()

    def _variables(self) -> list[Candidate]:
        return [
            Candidate(name, type(value).__name__)
            for name, value in self._session.namespace.items()
            if not name.startswith("_")
        ]

    def _jobs(self) -> list[Candidate]:
        variables = [
            Candidate(name, _describe_job(value))
            for name, value in self._session.namespace.items()
            if isinstance(value, Job) and not name.startswith("_")
        ]
        return [*variables, *self._fetch_cached("job", _job_names_and_ids)]

    def _data(self, word: str) -> list[Candidate]:
        return self._fetch_cached(f"data {word}", lambda client: _data_paths(client, word))

    def _fetch_cached(
        self, key: str, request: Callable[[Client], list[Candidate]]
    ) -> list[Candidate]:
        """Return the server's response, or the cached one if that takes too long."""
        fetched, candidates = self._cache.get(key, (-MAX_AGE, []))
        if time.monotonic() - fetched <= MAX_AGE:
            return candidates
        thread = self._requests.get(key)
        if thread is None:
            thread = threading.Thread(target=self._fetch, args=(key, request), daemon=True)
            self._requests[key] = thread
            thread.start()
        thread.join(MAX_WAIT)
        return self._cache.get(key, (fetched, candidates))[1]

    def _fetch(self, key: str, request: Callable[[Client], list[Candidate]]) -> None:
        settings = self._session.settings
        candidates: list[Candidate] = []
        try:
            with Client(settings.url, settings.token, timeout=REQUEST_TIMEOUT) as client:
                candidates = request(client)
        except NdsError:
            # The error is shown when the line is run.
            candidates = self._cache.get(key, (0.0, candidates))[1]
        finally:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[key] = (time.monotonic(), candidates)
            del self._requests[key]


def _data_paths(client: Client, word: str) -> list[Candidate]:
    return [
        Candidate(path, "collection" if path.endswith("/") else "data object")
        for path in client.data.names(word)
    ]


def _unbreakable(text: str) -> str | None:
    """Return a text that JupyterLab can't break: it would lay the second line over the next row."""
    return text.replace(" ", "\u00a0").replace("-", "\u2011") or None


def _escape(candidate: Candidate) -> Candidate:
    """Return a candidate that a line takes for one word."""
    return Candidate(_SPECIAL_CHARACTERS.sub(r"\\\1", candidate.text), candidate.description)


def _option_of_flag(parser: LineParser, flag: str) -> MagicOption | None:
    """Return the option of a flag whose value comes next."""
    for option in parser.options if flag.startswith("-") else ():
        if flag in option.flags and option.settings.get("action", "store") in ACTIONS_WITH_VALUE:
            return option
    return None


def _option_kind(option: MagicOption) -> str:
    return option.group or "option"


def _image_names(client: Client) -> list[Candidate]:
    return [
        Candidate(f"{each.name}:{each.tag}", "image" if each.present else "image, to be pulled")
        for each in client.images()
    ]


def _job_names_and_ids(client: Client) -> list[Candidate]:
    """Return the names of jobs, which say more than ids do, then ids with their names."""
    jobs = client.jobs(limit=MAX_JOBS)
    newest = {job.view.name: job for job in reversed(jobs) if job.view.name}
    names = [Candidate(name, f"{_state_text(job)} {job.id}") for name, job in newest.items()]
    return [*names[::-1], *(Candidate(job.id, _describe_job(job)) for job in jobs)]


def _describe_job(job: Job) -> str:
    return f"{_state_text(job)} {job.view.name or job.view.scriptname}"


def _state_text(job: Job) -> str:
    return str(job.view.phase.value if job.state is JobState.RUNNING else job.state.value)
