"""Replay of recordings in which several sessions meet: calls that wait, and what is done beside."""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Callable, Iterable
from io import IOBase
from itertools import zip_longest
from pathlib import Path
from typing import Any

from irods.session import iRODSSession

from tests.irods_zone.zone import HOST, Zone
from tests.zone.behaviour import Call, calls, outcome, outcome_here, write
from tests.zone.recorder import Message, Recorder
from tests.zone.transcripts import FOLDER, by_connection, recorded

SHORT_WAIT = 0.1
LONG_WAIT = 20.0
CLOSING = 0.5
"""Seconds for connections that the client leaves to the garbage collector after an error."""

NO_FOLDER = Path("/vault/mnt")
"""These recordings mount nothing."""

_MEANWHILE = ("BLOCKED until", "not blocked", "began before the line above")
_ASSIGNED = re.compile(r"(\w+) = (.*)", re.DOTALL)
_SESSION = re.compile(r"\b([a-z]+)(?=\.(?:data_objects|collections|metadata|acls|genquery2)\b)")
_FIRST_ARGUMENT = re.compile(r"\b(?:read|write|status|objstat|rawopen|names_in|colls_below)\((\w+)")


class StateReplay:
    """Makes the calls of a recording in a zone.

    Parameters
    ----------
    zone
        The zone to ask.
    folder
        Where the local files lie that the recordings call `ONE` and `TWO`.
    collection
        The collection that the recording calls `C`; it is made.
    user
        Whose sessions those are that the recording does not name after a user.
    """

    def __init__(self, zone: Zone, folder: Path, collection: str, *, user: str = "alice") -> None:
        self.zone = zone
        self.user = user
        self.collection = collection
        self.beside: dict[str, Callable[[], object]] = {}
        self._sessions: list[iRODSSession] = []
        self._recorder: Recorder | None = None
        (folder / "one").write_bytes(b"one\n")
        (folder / "two").write_bytes(b"second\n")
        self.names: dict[str, Any] = {
            "C": collection,
            "ONE": str(folder / "one"),
            "TWO": str(folder / "two"),
            "R": self,
            "rows": self.rows,
            "vault": self.vault,
            "keep": lambda name, value: self.names.update({name: value}),
        }
        self.maker = zone.session(user)
        self._sessions.append(self.maker)
        self.maker.collections.create(collection)

    def S(self, user: str, **options: Any) -> iRODSSession:  # noqa: N802 - the recordings' name.
        """Give a session of a user, which is recorded and ends with the replay."""
        port = self._recorder.port if self._recorder else self.zone.port
        session = self.zone.session(user, port=port, **options)
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """End every session."""
        for each in self._sessions:
            each.cleanup()

    def make(self, *, objects: Iterable[str] = (), collections: Iterable[str] = ()) -> None:
        """Make what was there before the recording: collections, and objects of four bytes."""
        for each in collections:
            self.maker.collections.create(f"{self.collection}/{each}")
        for each in objects:
            write(self.maker, f"{self.collection}/{each}", b"one\n")

    def rows(self, pattern: str) -> list[str]:
        """Give the catalogue's rows of objects, whose names begin so."""
        start = pattern.rstrip("%")
        with self.zone.store.catalogue.change() as db:
            found = db.execute(
                "SELECT r.* FROM replicas r JOIN collections c ON c.id = r.collection_id"
                " WHERE c.name = ? AND substr(r.name, 1, ?) = ? ORDER BY r.name, r.number",
                (self.collection, len(start), start),
            ).fetchall()
        return [
            f"{row['name']} repl {row['number']} status {row['status']} size {row['size']}"
            f" {self._in_vault(row['path'])}"
            for row in found
        ]

    def vault_folder(self) -> Path:
        """Give the folder in which the collection's files lie."""
        return self.zone.store.vault / self.collection.split("/", 2)[2]

    def vault(self) -> list[str]:
        """Give the names of the files that the collection has in the vault."""
        return sorted(each.name for each in self.vault_folder().iterdir())

    def run(self, scenario: str, *, but: Iterable[str] = ()) -> None:
        """Make the calls of a scenario and compare what each gives; those that begin so are not."""
        steps = [
            step
            for step in calls(scenario, NO_FOLDER)
            if not (step.call and step.call.startswith(tuple(but)))
        ]
        with Recorder((HOST, self.zone.port), closing=CLOSING).serving() as self._recorder:
            self._make_calls(steps)
            self._end_sessions()
            self._recorder.stop()
        if (FOLDER / f"{scenario}.jsonl").exists() and not but:
            assert_same_messages(self._recorder.messages, scenario)

    def _make_calls(self, steps: list[Call]) -> None:
        self._name_sessions(steps)
        made, expected = [], []
        started: dict[int, _Started] = {}
        for number, step in enumerate(steps):
            if step.note:
                self._note(step.note)
                continue
            if step.call == "first.cleanup()" and number + 1 < len(steps):
                self._start(started, number + 1, steps[number + 1])
            got = started[number].outcome() if number in started else self._outcome(step)
            made.append(f"{step.call} => {got}")
            expected.append(f"{step.call} => {outcome(step)}")
        differing = [
            f"here {own}\nthere {other}"
            for own, other in zip(made, expected, strict=True)
            if own != other
        ]
        assert not differing, "\n".join(differing)

    def _end_sessions(self) -> None:
        for each in self._sessions:
            each.cleanup()
        for name, value in list(self.names.items()):
            if isinstance(value, iRODSSession | IOBase):
                del self.names[name]
        gc.collect()  # The client disconnects only when nothing refers to the connection any more.

    def _note(self, note: str) -> None:
        open_now = re.match(r"idle in transaction: (\d)", note)
        if open_now:
            assert self.zone.store.catalogue.transactions.count() == int(open_now[1])
        for start, act in self.beside.items():
            if note.startswith(start):
                act()

    def _outcome(self, step: Call) -> str:
        assigned = _ASSIGNED.fullmatch(step.call)
        if not assigned:
            return outcome_here(step, self.names)
        call = f"keep({assigned[1]!r}, {assigned[2]})"
        return outcome_here(Call(scenario=step.scenario, call=call, result=step.result), self.names)

    def _name_sessions(self, steps: list[Call]) -> None:
        for step in steps:
            for name in (*_SESSION.findall(step.call), *_FIRST_ARGUMENT.findall(step.call)):
                assigned = any(other.call.startswith(f"{name} = ") for other in steps)
                if name not in self.names and not assigned:
                    self.names[name] = self.S("rods" if name == "rods" else self.user)

    def _start(self, started: dict[int, _Started], number: int, step: Call) -> None:
        if not any(mark in step.call for mark in _MEANWHILE):
            return
        if re.search(r"\bo\b", step.call):
            self.names["o"] = self.S(self.user)
        started[number] = _Started(lambda: self._outcome(step))
        if "not blocked" in step.call:
            started[number].outcome()
        else:
            assert started[number].is_waiting(), f"not blocked: {step.call}"

    def _in_vault(self, path: str) -> str:
        return path.replace(str(self.zone.store.vault), "/vault")


def assert_same_messages(messages: list[Message], scenario: str) -> None:
    """Compare what passed on each connection, but for when connections were given up."""
    ours, theirs = (
        [each for each in by_connection(passed) if each[0].startswith("client")]
        for passed in (messages, recorded(scenario))
    )
    differing = [
        f"here {own}\nthere {other}"
        for ours_, theirs_ in zip(ours, theirs, strict=False)
        for own, other in zip_longest(_without_end(ours_), _without_end(theirs_))
        if own != other
    ]
    assert not differing, "\n".join(differing)
    assert len(ours) == len(theirs)


def _without_end(messages: list[str]) -> list[str]:
    return [each for each in messages if not each.startswith("client: RODS_DISCONNECT")]


class _Started:
    """A call that goes on in a thread."""

    def __init__(self, call: Callable[[], str]) -> None:
        self._outcome = ""
        self._thread = threading.Thread(target=lambda: self._keep(call()), daemon=True)
        self._thread.start()

    def _keep(self, outcome: str) -> None:
        self._outcome = outcome

    def is_waiting(self) -> bool:
        """Whether the call has no answer after a while."""
        self._thread.join(SHORT_WAIT)
        return self._thread.is_alive()

    def outcome(self) -> str:
        """Wait for the answer."""
        self._thread.join(LONG_WAIT)
        assert not self._thread.is_alive(), "the call got no answer"
        return self._outcome
