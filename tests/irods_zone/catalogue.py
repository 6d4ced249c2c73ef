"""The catalogue: tables in one SQLite file."""

from __future__ import annotations

import gc
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.irods_zone.collation import sort_key
from tests.irods_zone.transactions import OpenTransactions, RowHeldError, is_held

FIRST_ID = 10000

SCHEMA = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT, type TEXT, zone TEXT, info TEXT DEFAULT '',
    comment TEXT DEFAULT '', ctime TEXT, mtime TEXT, UNIQUE (name, zone));
CREATE TABLE passwords (user_id INTEGER, password TEXT, expires REAL);
CREATE INDEX passwords_of ON passwords (user_id);
CREATE TABLE members (
    group_id INTEGER, user_id INTEGER, PRIMARY KEY (user_id, group_id)) WITHOUT ROWID;
CREATE TABLE resources (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, zone TEXT, type TEXT, class TEXT, location TEXT,
    vault TEXT, free TEXT DEFAULT '', free_time TEXT DEFAULT '', comment TEXT DEFAULT '',
    status TEXT DEFAULT '', children TEXT DEFAULT '', context TEXT DEFAULT '',
    parent TEXT DEFAULT '', parent_context TEXT DEFAULT '', ctime TEXT, mtime TEXT);
CREATE VIEW hierarchies AS
    WITH RECURSIVE found (id, hier, parent) AS (
        SELECT id, name, parent FROM resources
        UNION ALL SELECT found.id, above.name || ';' || found.hier, above.parent
        FROM found JOIN resources above ON above.id = found.parent)
    SELECT id, hier, parent FROM found;
CREATE TABLE collections (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, parent TEXT, owner TEXT, owner_zone TEXT,
    map_id INTEGER DEFAULT 0, inherit TEXT DEFAULT '', comment TEXT DEFAULT '',
    type TEXT DEFAULT '', info1 TEXT DEFAULT '', info2 TEXT DEFAULT '', ctime TEXT, mtime TEXT);
CREATE INDEX collections_in ON collections (parent, sort_key(name));
CREATE INDEX special_collections ON collections (type) WHERE type != '';
CREATE TABLE replicas (
    id INTEGER, collection_id INTEGER, name TEXT, number INTEGER, version TEXT DEFAULT '',
    type TEXT DEFAULT 'generic', size INTEGER, resource_id INTEGER, resource TEXT,
    path TEXT, owner TEXT, owner_zone TEXT, status INTEGER, status_text TEXT DEFAULT '',
    checksum TEXT DEFAULT '', expiry TEXT DEFAULT '00000000000', map_id INTEGER DEFAULT 0,
    comment TEXT DEFAULT '', mode TEXT DEFAULT '0', ctime TEXT, mtime TEXT, atime TEXT,
    PRIMARY KEY (id, number)) WITHOUT ROWID;
CREATE UNIQUE INDEX replicas_in ON replicas (collection_id, name, number);
CREATE INDEX replicas_at ON replicas (path);
CREATE INDEX replicas_ordered ON replicas (collection_id, sort_key(name));
CREATE TABLE access (
    object_id INTEGER, user_id INTEGER, level INTEGER,
    PRIMARY KEY (object_id, user_id)) WITHOUT ROWID;
CREATE TABLE avus (
    id INTEGER PRIMARY KEY, name TEXT, value TEXT, units TEXT, ctime TEXT, mtime TEXT,
    UNIQUE (name, value, units));
CREATE TABLE avu_of (
    object_id INTEGER, avu_id INTEGER, PRIMARY KEY (object_id, avu_id)) WITHOUT ROWID;
CREATE INDEX avu_used ON avu_of (avu_id);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY, string TEXT UNIQUE, type TEXT, user_id INTEGER, object_id INTEGER,
    object_type TEXT, uses_limit INTEGER DEFAULT 0, uses INTEGER DEFAULT 0,
    expiry TEXT DEFAULT '', write_limit INTEGER DEFAULT 10, writes INTEGER DEFAULT 0,
    byte_limit INTEGER DEFAULT 0, bytes INTEGER DEFAULT 0, ctime TEXT, mtime TEXT);
CREATE TABLE ticket_limits (ticket_id INTEGER, kind TEXT, name TEXT);
CREATE TABLE tokens (level INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE zones (id INTEGER PRIMARY KEY, name TEXT, type TEXT);
"""


class Catalogue:
    """A writer that all threads share, and readers of their own for queries."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._writer = self.reader()
        self._writer.executescript(SCHEMA)
        self.transactions = OpenTransactions()
        self.transactions.watch(self._writer)
        self._ids = itertools.count(FIRST_ID)

    def reader(self) -> sqlite3.Connection:
        """Open a connection for a query that stays open between messages."""
        connection = sqlite3.connect(
            self._file, isolation_level=None, check_same_thread=False, timeout=60
        )
        connection.row_factory = sqlite3.Row
        connection.create_function("sort_key", 1, sort_key, deterministic=True)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA case_sensitive_like=ON")
        return connection

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Hold the writer for a transaction; one inside another joins it.

        What this agent has left open is part of it, and is committed only with further changes.
        """
        with self._lock, _without_collecting():
            if self._writer.in_transaction:
                yield self._writer
                return
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                was_open = self.transactions.apply(self._writer)
                before = self._writer.total_changes
                yield self._writer
            except sqlite3.DatabaseError as error:
                self._writer.execute("ROLLBACK")
                if is_held(error):
                    raise RowHeldError from error
                raise
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            if was_open and self._writer.total_changes == before:
                self._writer.execute("ROLLBACK")
                return
            self._writer.execute("COMMIT")
            self.transactions.end()

    def new_id(self) -> int:
        """Give a number that nothing in the zone has."""
        return next(self._ids)

    def close(self) -> None:
        """Close the writer."""
        with self._lock:
            self._writer.close()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Collect no garbage meanwhile.

    Client and server share a process in tests: a file of a client that is collected here would be
    closed by a call to this server, which waits for the lock that this thread holds.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def now() -> str:
    """Give the time as the catalogue writes it."""
    return stamp(time.time())


def stamp(seconds: float) -> str:
    """Write seconds since the epoch as the catalogue does."""
    return f"{int(seconds):011d}"
