"""Transactions that a failed call leaves open, and the rows that others wait for meanwhile.

An agent of the server (here: the thread of a connection) has a transaction of its own in the
database. Some calls fail without ending it: what they had changed is seen by their own connection
only, is committed with its next write and is gone when it ends.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Change = Callable[[sqlite3.Connection], object]
Answer = TypeVar("Answer")

_HELD = "another transaction holds the row"
_COLUMNS = {
    "replicas": "collection_id, name, size, path, status, checksum, mtime",
    "collections": "name, parent, mtime",
}


class RowHeldError(Exception):
    """A row that is to be changed is held by somebody else's transaction."""


class OpenTransactions:
    """The changes that each agent has made and not committed, and the rows that these hold."""

    def __init__(self) -> None:
        self._changes: dict[int, list[Change]] = {}
        self._holders: dict[int, int] = {}
        self._met: dict[int, int] = {}
        self._ended = threading.Condition()

    def watch(self, writer: sqlite3.Connection) -> None:
        """Let the writer refuse to change rows that somebody else holds."""
        writer.create_function("is_held", 1, self._is_held)
        for table, columns in _COLUMNS.items():
            for event in (f"UPDATE OF {columns}", "DELETE"):
                writer.execute(
                    f"CREATE TEMP TRIGGER {table}_{event.partition(' ')[0]} BEFORE {event}"
                    f" ON main.{table} WHEN is_held(OLD.id)"
                    f" BEGIN SELECT RAISE(ABORT, '{_HELD}'); END"
                )

    def leave_open(self, change: Change, rows: Iterable[int]) -> None:
        """Keep a change of this agent for later, and hold its rows."""
        with self._ended:
            self._changes.setdefault(threading.get_ident(), []).append(change)
            self._holders |= dict.fromkeys(rows, threading.get_ident())

    def apply(self, db: sqlite3.Connection) -> bool:
        """Make what this agent has left open; whether there is something."""
        changes = self._changes.get(threading.get_ident(), [])
        for change in changes:
            change(db)
        return bool(changes)

    def is_open(self) -> bool:
        """Whether this agent has left something open."""
        return threading.get_ident() in self._changes

    def end(self) -> None:
        """Forget what this agent has left open, since it is committed or rolled back."""
        agent = threading.get_ident()
        with self._ended:
            if self._changes.pop(agent, None) is not None:
                self._holders = {row: by for row, by in self._holders.items() if by != agent}
                self._ended.notify_all()

    def end_all(self) -> None:
        """Roll everything back, as a database that ends."""
        with self._ended:
            self._changes.clear()
            self._holders.clear()
            self._ended.notify_all()

    def count(self) -> int:
        """Give the number of agents whose transactions are open."""
        return len(self._changes)

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """Make a call again and again, until nobody else holds the rows that it changes."""
        while True:
            try:
                return call()
            except RowHeldError:
                row = self._met.pop(threading.get_ident())
                with self._ended:
                    self._ended.wait_for(lambda: row not in self._holders)  # noqa: B023

    def _is_held(self, row: int) -> bool:
        agent = threading.get_ident()
        if self._holders.get(row, agent) == agent:
            return False
        self._met[agent] = row
        return True


def is_held(error: sqlite3.DatabaseError) -> bool:
    """Whether a statement failed because somebody else holds a row."""
    return _HELD in str(error)
