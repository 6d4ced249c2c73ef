"""The durable record of every job: one SQLite file, owned by one process.

The file often lies in a network home. So one process owns it, by an exclusive lock on a file beside
it, and SQLite keeps its write-ahead log without shared memory (``locking_mode = EXCLUSIVE``,
https://www.sqlite.org/wal.html#noshm). A second server of the same user takes a journal of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

import msgspec

from nds_jupyter.errors import NdsError, StorageFull
from nds_jupyter.jobs import Job, JobState, utc_now

P = ParamSpec("P")
T = TypeVar("T")

KEY_LIFETIME = timedelta(days=1)
"""How long an idempotency key stands for its job."""

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
"""


_WANTED = (
    "owner = :owner"
    " AND (:q IS NULL OR instr(lower(name), lower(:q)) OR instr(lower(image), lower(:q))"
    "  OR instr(job_id, lower(:q)))"
    " AND (:state IS NULL OR state = :state)"
    " AND (:name IS NULL OR instr(lower(name), lower(:name)))"
    " AND (:image IS NULL OR instr(image, :image))"
    " AND (:since IS NULL OR created >= :since)"
    " AND (:sweep IS NULL OR job_id IN (SELECT job_id FROM sweeps WHERE sweep_id = :sweep))"
)


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of an owner are wanted; None means any.

    Parameters
    ----------
    q
        Part of the name, the image or the id, in letters of either case.
    name
        Part of the name.
    since
        Only jobs created at this time or later.
    before
        Only jobs older than the one with this position; for paging.
    """

    q: str | None = None
    state: JobState | None = None
    name: str | None = None
    image: str | None = None
    since: datetime | None = None
    sweep: str | None = None
    before: int | None = None
    limit: int = 100


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs, newest first.

    Parameters
    ----------
    next
        The `before` of the following page, None at the end.
    total
        How many there are on all pages.
    """

    jobs: tuple[Job, ...]
    next: int | None
    total: int


class Journal:
    """The record, for one thread at a time.

    Parameters
    ----------
    path
        The SQLite file.
    lock
        The open, locked file beside it; closed with the journal.
    """

    def __init__(self, path: Path, lock: IO[bytes] | None = None) -> None:
        self._lock = lock
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
    def open(cls, folder: Path) -> Journal:
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

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def _server_id(self) -> str:
        with self._writing():
            self._db.execute(
                "INSERT OR IGNORE INTO meta VALUES ('server_id', ?)", [secrets.token_hex(8)]
            )
        row = self._db.execute("SELECT value FROM meta WHERE name = 'server_id'").fetchone()
        return str(row[0])

    @contextlib.contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[None]:
        """One transaction; `durable` waits for the disk, otherwise only a power cut can lose it."""
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

    def add(self, job: Job, script: bytes, key: str | None = None) -> Job:
        """Record a new job for good, and return it.

        Parameters
        ----------
        job, script
            The job, and the bytes of its script.
        key
            An idempotency key: if the owner used it within a day, that earlier job is returned and
            nothing is recorded.
        """
        return self.add_all([job], script, key)[0]

    def add_all(self, jobs: list[Job], script: bytes, key: str | None = None) -> list[Job]:
        """Record new jobs of one script for good, all of them or none; see `add`."""
        first = jobs[0]
        with self._writing(durable=True):
            if key is not None:
                earlier = self._job_of_key(first.owner, key, first.created)
                if earlier is not None:
                    return self.of_sweep(earlier)
                self._db.execute(
                    "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)",
                    [first.owner, key, first.job_id, first.created.isoformat()],
                )
            for job in jobs:
                self._insert(job)
            # A sweep's script is kept once.
            self._db.execute("INSERT OR IGNORE INTO scripts VALUES (?, ?)", [_shelf(first), script])
        return jobs

    def _insert(self, job: Job) -> None:
        self._db.execute(
            "INSERT INTO jobs (job_id, owner, name, image, created, state, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                job.job_id,
                job.owner,
                job.spec.name,
                job.spec.image,
                job.created.isoformat(),
                job.state.value,
                msgspec.json.encode(job),
            ],
        )
        if job.spec.sweep is not None:
            values = [job.spec.sweep.sweep_id, job.job_id]
            self._db.execute("INSERT INTO sweeps VALUES (?, ?)", values)

    def of_sweep(self, job: Job) -> list[Job]:
        """Return every job of a job's sweep, or the job alone, in their order."""
        if job.spec.sweep is None:
            return [job]
        return self._jobs(
            "JOIN sweeps USING (job_id) WHERE sweep_id = ? ORDER BY n", job.spec.sweep.sweep_id
        )

    def of_key(self, owner: str, key: str) -> Job | None:
        """Return the job that an owner's idempotency key stands for, if it still does."""
        oldest = (utc_now() - KEY_LIFETIME).isoformat()
        found = self._jobs(
            "JOIN keys USING (job_id) WHERE keys.owner = ? AND key = ? AND keys.created >= ?",
            owner,
            key,
            oldest,
        )
        return found[0] if found else None

    def _job_of_key(self, owner: str, key: str, now: datetime) -> Job | None:
        oldest = (now - KEY_LIFETIME).isoformat()
        self._db.execute("DELETE FROM keys WHERE created < ?", [oldest])
        rows = self._jobs("JOIN keys USING (job_id) WHERE keys.owner = ? AND key = ?", owner, key)
        return rows[0] if rows else None

    def save(self, job: Job) -> None:
        """Record what a job has become."""
        with self._writing():
            self._db.execute(
                "UPDATE jobs SET state = ?, finished = ?, container_id = ?, removed = ?, body = ?"
                " WHERE job_id = ?",
                [
                    job.state.value,
                    job.finished and job.finished.isoformat(),
                    job.container_id,
                    job.removed and job.removed.isoformat(),
                    msgspec.json.encode(job),
                    job.job_id,
                ],
            )

    def _jobs(self, condition: str, *values: object) -> list[Job]:
        rows = self._db.execute(f"SELECT jobs.body FROM jobs {condition}", values)  # noqa: S608
        return [msgspec.json.decode(row[0], type=Job) for row in rows]

    def job(self, job_id: str) -> Job | None:
        """Return one job by its whole id."""
        found = self._jobs("WHERE job_id = ?", job_id)
        return found[0] if found else None

    def with_prefix(self, owner: str, prefix: str) -> list[Job]:
        """Return the jobs of an owner whose id begins with a prefix of hexadecimal digits."""
        return self._jobs("WHERE owner = ? AND job_id GLOB ? LIMIT 20", owner, f"{prefix}*")

    def with_container(self, owner: str, prefix: str) -> list[Job]:
        """Return the jobs of an owner whose container's id begins with a prefix."""
        return self._jobs("WHERE owner = ? AND container_id GLOB ? LIMIT 20", owner, f"{prefix}*")

    def page(self, owner: str, wanted: JobFilter) -> JobPage:
        """Return a page of an owner's jobs, newest first."""
        values = {
            "owner": owner,
            "q": wanted.q,
            "before": wanted.before,
            "state": wanted.state and wanted.state.value,
            "name": wanted.name,
            "image": wanted.image,
            "since": wanted.since and wanted.since.isoformat(),
            "sweep": wanted.sweep,
            "limit": wanted.limit + 1,
        }
        rows = self._db.execute(
            f"SELECT n, body FROM jobs WHERE {_WANTED} AND (:before IS NULL OR n < :before)"  # noqa: S608
            " ORDER BY n DESC LIMIT :limit",
            values,
        ).fetchall()
        total = self._db.execute(f"SELECT count(*) FROM jobs WHERE {_WANTED}", values)  # noqa: S608
        shown = rows[: wanted.limit]
        return JobPage(
            jobs=tuple(msgspec.json.decode(body, type=Job) for _, body in shown),
            next=shown[-1][0] if len(rows) > wanted.limit else None,
            total=total.fetchone()[0],
        )

    def jobs(self, job_ids: list[str]) -> dict[str, Job]:
        """Return the jobs of these ids that there are, by id."""
        marks = ",".join("?" * len(job_ids))
        return {job.job_id: job for job in self._jobs(f"WHERE job_id IN ({marks})", *job_ids)}

    def unfinished(self) -> list[Job]:
        """Return every job that has not ended, oldest first."""
        return self._jobs("WHERE state = 'RUNNING' ORDER BY n")

    def with_containers_to_remove(self, newest_kept: int, finished_before: datetime) -> list[Job]:
        """Return finished jobs whose container retention no longer keeps, oldest first."""
        return self._jobs(
            "WHERE state <> 'RUNNING' AND removed IS NULL AND container_id IS NOT NULL AND"
            " (finished < ? OR n NOT IN (SELECT n FROM jobs WHERE state <> 'RUNNING'"
            "  AND removed IS NULL AND container_id IS NOT NULL ORDER BY finished DESC LIMIT ?))"
            " ORDER BY finished",
            finished_before.isoformat(),
            newest_kept,
        )

    def script(self, job_id: str) -> bytes:
        """Return the bytes of a job's script."""
        row = self._db.execute(
            "SELECT script FROM scripts WHERE job_id = ?"
            " OR job_id = (SELECT sweep_id FROM sweeps WHERE job_id = ?)",
            [job_id, job_id],
        ).fetchone()
        if row is None:
            raise NdsError(f"The script of job {job_id} is not in the journal.")
        return bytes(row[0])

    def keep(self, job_id: str, what: str, body: bytes) -> None:
        """Keep something of a job beyond its container: ``log``, ``diff``, ``results``."""
        with self._writing():
            # Of a job that was deleted meanwhile nothing is kept.
            self._db.execute(
                "INSERT OR REPLACE INTO kept SELECT job_id, ?, ? FROM jobs WHERE job_id = ?",
                [what, body, job_id],
            )

    def kept(self, job_id: str, what: str) -> bytes | None:
        """Return what was kept, or None."""
        row = self._db.execute(
            "SELECT body FROM kept WHERE job_id = ? AND what = ?", [job_id, what]
        ).fetchone()
        return None if row is None else bytes(row[0])

    def delete(self, job: Job) -> None:
        """Forget a job but for the fact that it was deleted."""
        with self._writing():
            for table in ("jobs", "scripts", "kept", "keys", "sweeps"):
                self._db.execute(f"DELETE FROM {table} WHERE job_id = ?", [job.job_id])  # noqa: S608
            if job.spec.sweep is not None:
                self._db.execute(
                    "DELETE FROM scripts WHERE job_id = ? AND job_id NOT IN"
                    " (SELECT sweep_id FROM sweeps)",
                    [job.spec.sweep.sweep_id],
                )
            self._db.execute("INSERT OR IGNORE INTO deleted VALUES (?, ?)", [job.job_id, job.owner])

    def was_deleted(self, owner: str, job_id: str) -> bool:
        """Whether this owner once deleted a job of this id."""
        row = self._db.execute(
            "SELECT 1 FROM deleted WHERE job_id = ? AND owner = ?", [job_id, owner]
        ).fetchone()
        return row is not None


def _shelf(job: Job) -> str:
    """Return the id under which a job's script is kept."""
    return job.job_id if job.spec.sweep is None else job.spec.sweep.sweep_id
