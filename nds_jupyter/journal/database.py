"""SQLite database file of the journal, owned by one process by an exclusive lock.

The file is often in a network home. So one process owns it, by an exclusive lock on a file beside
it, and SQLite keeps its write-ahead log without shared memory (``locking_mode = EXCLUSIVE``,
https://www.sqlite.org/wal.html#noshm). A second server of the same user takes a journal of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from nds_jupyter.errors import StorageFull

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    state TEXT NOT NULL,
    created TEXT NOT NULL,
    finished TEXT,
    container_id TEXT,
    removed TEXT,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_owner ON jobs (owner, n);
CREATE INDEX IF NOT EXISTS jobs_container ON jobs (container_id);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, finished);
CREATE TABLE IF NOT EXISTS scripts (job_id TEXT PRIMARY KEY, script BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    owner TEXT NOT NULL, key TEXT NOT NULL, job_id TEXT NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE TABLE IF NOT EXISTS kept (
    job_id TEXT NOT NULL, what TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (job_id, what)
);
CREATE TABLE IF NOT EXISTS sweeps (
    sweep_id TEXT NOT NULL, job_id TEXT PRIMARY KEY
);
CREATE INDEX IF NOT EXISTS sweeps_sweep ON sweeps (sweep_id);
CREATE TABLE IF NOT EXISTS deleted (job_id TEXT PRIMARY KEY, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS drafts (
    root TEXT NOT NULL, path TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (root, path)
);
"""


class JournalDatabase:
    """Database file with its lock and its transactions.

    Parameters
    ----------
    path
        The SQLite file.
    lock
        The open, locked file beside it; closed with the journal.
    """

    def __init__(self, path: Path, lock: IO[bytes] | None = None) -> None:
        self._lock = lock
        self._folder = path.parent
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
            self.server_id = self._server_id()
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the first journal of a folder that no living process owns, or a new one.

        Parameters
        ----------
        folder
            Made, readable by its user only, if it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(1000):
            lock = (folder / f"journal-{number}.lock").open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            path = folder / f"journal-{number}.sqlite"
            try:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                return cls(path, lock)
            except BaseException:
                lock.close()
                raise
        raise StorageFull(f"Every one of the 1000 journals in {folder.name} is in use.")

    def disk_free(self) -> int:
        """Return the free bytes of its disk."""
        return shutil.disk_usage(self._folder).free

    def close(self) -> None:
        """Close the file and release the lock."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def _server_id(self) -> str:
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO meta VALUES ('server_id', ?)", [secrets.token_hex(8)]
            )
        row = self._db.execute("SELECT value FROM meta WHERE name = 'server_id'").fetchone()
        return str(row[0])

    @contextlib.contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Run a block as one transaction; unless `durable`, a power cut can lose it."""
        # A killed process loses nothing either way. What a power cut takes of later transitions
        # comes back from the engine's labels, but an accepted job would be lost for good.
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as exc:
            raise StorageFull(
                f"The record of jobs can't be written ({exc}). Free space on the disk that "
                "holds the Jupyter data folder, then try again."
            ) from exc
