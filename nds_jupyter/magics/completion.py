"""Tab completion on the line of a magic."""

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
"""Seconds after which what is known is offered without the server's answer: JupyterLab shows only
what comes within one. A later answer is there when tab is pressed again."""

REQUEST_TIMEOUT = 10.0
"""Seconds that the server has for an answer."""

MAX_AGE = 10.0
"""Seconds for which an answer is used again."""

MAX_JOBS = 50
"""Jobs that are offered."""

MAX_CACHED = 100
"""Answers of the server that are kept."""

ACTIONS_WITH_VALUE = frozenset({"store", "append", "extend"})
"""Actions of options behind which comes a value."""

_WORD = re.compile(r"(?:\\.|[^\s\\])*$")
_SPECIAL_CHARACTERS = re.compile(r"([\s'\"\\])")


class Candidate(msgspec.Struct, frozen=True):
    """What may stand in a place, and what it is, which JupyterLab shows beside it."""

    text: str
    what: str = ""


class LineCompleter:
    """Completes options, and the values of those that name something.

    Parameters
    ----------
    session
        Knows the server and the notebook's variables.
    parsers
        What makes the parser of a magic, by its name with percent signs.
    """

    def __init__(
        self, session: MagicsSession, parsers: Mapping[str, Callable[[], LineParser]]
    ) -> None:
        self._session = session
        self._parsers = parsers
        self._known: dict[str, tuple[float, list[Candidate]]] = {}
        self._asking: dict[str, threading.Thread] = {}
        self._values: dict[str, Callable[[str], Iterable[Candidate]]] = {
            "image": lambda _word: self._answer("image", _image_names),
            "job": lambda _word: self._jobs(),
            "variable": lambda _word: self._variables(),
            "data": self._data,
        }

    def offer(self, context: CompletionContext) -> dict[str, Any]:
        """Return what a shell's completer is told."""
        found, fragment = self.matches(
            context.full_text, context.cursor_line, context.cursor_position
        )
        offered = [SimpleCompletion(each.text, type=_unbreakable(each.what)) for each in found]
        return {"completions": offered, "matched_fragment": fragment, "suppress": bool(offered)}

    def matches(self, text: str, line: int, column: int) -> tuple[list[Candidate], str]:
        """Return what may stand at the cursor, and the text before it that it stands for.

        Parameters
        ----------
        text
            The whole cell.
        line, column
            Where the cursor is, both from 0.
        """
        until = text.split("\n")[line][:column].lstrip()
        name, space, _ = until.partition(" ")
        parser = self._parsers.get(name)
        # A cell magic begins its cell; below it is the script.
        begins_cell = not "".join(text.split("\n")[:line]).strip()
        if not space or parser is None or (name.startswith("%%") and not begins_cell):
            return [], ""
        return self._on_line(parser(), until[len(name) :])

    def _on_line(self, parser: LineParser, line: str) -> tuple[list[Candidate], str]:
        found = _WORD.search(line)
        fragment = found[0] if found else ""
        before = line[: len(line) - len(fragment)].split()
        option = _option_of_flag(parser, before[-1] if before else "")
        flag, equals, value = fragment.partition("=")
        if option is None and equals and flag.startswith("--"):
            option, fragment = _option_of_flag(parser, flag), value
        word = re.sub(r"\\(.)", r"\1", fragment)
        candidates = self._candidates(parser, option, word)
        fitting = {each.text: each for each in candidates if each.text.startswith(word)}
        return [_escape(each) for each in fitting.values()], fragment

    def _candidates(
        self, parser: LineParser, option: MagicOption | None, word: str
    ) -> Iterator[Candidate]:
        if option is not None:
            yield from map(Candidate, option.settings.get("choices") or ())
            yield from self._of_kind(option.completes, word)
            return
        if not word.startswith("-"):
            for each in parser.options:
                if not each.flags[0].startswith("-"):
                    yield from self._of_kind(each.completes, word)
        if not word or word.startswith("-"):
            for each in parser.options:
                yield from (
                    Candidate(flag, _option_kind(each)) for flag in each.flags if flag[:2] == "--"
                )

    def _of_kind(self, kind: str, word: str) -> Iterable[Candidate]:
        candidates = self._values.get(kind)
        return candidates(word) if candidates else ()

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
        return [*variables, *self._answer("job", _job_names_and_ids)]

    def _data(self, word: str) -> list[Candidate]:
        return self._answer(f"data {word}", lambda client: _data_paths(client, word))

    def _answer(self, what: str, ask: Callable[[Client], list[Candidate]]) -> list[Candidate]:
        """Return what the server says, or said last if it takes its time."""
        asked, words = self._known.get(what, (-MAX_AGE, []))
        if time.monotonic() - asked <= MAX_AGE:
            return words
        thread = self._asking.get(what)
        if thread is None:
            thread = threading.Thread(target=self._ask, args=(what, ask), daemon=True)
            self._asking[what] = thread
            thread.start()
        thread.join(MAX_WAIT)
        return self._known.get(what, (asked, words))[1]

    def _ask(self, what: str, ask: Callable[[Client], list[Candidate]]) -> None:
        settings = self._session.settings
        words: list[Candidate] = []
        try:
            with Client(settings.url, settings.token, timeout=REQUEST_TIMEOUT) as client:
                words = ask(client)
        except NdsError:
            # Whoever runs the line is told what is wrong.
            words = self._known.get(what, (0.0, words))[1]
        finally:
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[what] = (time.monotonic(), words)
            del self._asking[what]


def _data_paths(client: Client, word: str) -> list[Candidate]:
    return [
        Candidate(path, "collection" if path.endswith("/") else "data object")
        for path in client.data.names(word)
    ]


def _unbreakable(what: str) -> str | None:
    """Return a text that JupyterLab can't break: it would lay the second line over the next row."""
    return what.replace(" ", "\u00a0").replace("-", "\u2011") or None


def _escape(candidate: Candidate) -> Candidate:
    """Return it as a line takes it for one word."""
    return Candidate(_SPECIAL_CHARACTERS.sub(r"\\\1", candidate.text), candidate.what)


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
    """Return names first, since they say more than ids do, then ids with their names."""
    jobs = client.jobs(limit=MAX_JOBS)
    newest = {job.view.name: job for job in reversed(jobs) if job.view.name}
    names = [Candidate(name, f"{_state_text(job)} {job.id}") for name, job in newest.items()]
    return [*names[::-1], *(Candidate(job.id, _describe_job(job)) for job in jobs)]


def _describe_job(job: Job) -> str:
    return f"{_state_text(job)} {job.view.name or job.view.scriptname}"


def _state_text(job: Job) -> str:
    return str(job.view.phase.value if job.state is JobState.RUNNING else job.state.value)
