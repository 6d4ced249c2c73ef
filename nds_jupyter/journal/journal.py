"""Journal: durable record of every job, used through a thread of its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from nds_jupyter.data.partial_writes import PartialWrite
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.job import Job, JobState, utc_now
from nds_jupyter.journal.database import JournalDatabase

_FILTER = (
    "owner = :owner"
    " AND (:q IS NULL OR instr(lower(name), lower(:q)) OR instr(lower(image), lower(:q))"
    "  OR instr(job_id, lower(:q)))"
    " AND (:state IS NULL OR state = :state)"
    " AND (:name IS NULL OR instr(lower(name), lower(:name)))"
    " AND (:image IS NULL OR instr(image, :image))"
    " AND (:since IS NULL OR created >= :since)"
    " AND (:sweep IS NULL OR job_id IN (SELECT job_id FROM sweeps WHERE sweep_id = :sweep))"
)
"""SQL condition of a page; its parameters are the fields of `JobFilter` and ``owner``."""


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions for a list of an owner's jobs; None means any.

    Parameters
    ----------
    q
        Part of the name, the image or the id, in letters of either case.
    name
        Part of the name.
    since
        Only jobs created at this time or later.
    before
        Cursor: only jobs older than the one with this number.
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
    """One page of jobs, newest first.

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


KEY_LIFETIME = timedelta(days=1)
"""How long an idempotency key is valid."""


class Journal(JournalDatabase):
    """Durable record of jobs and partial writes, for one thread at a time."""

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
        with self._transaction(durable=True):
            if key is not None:
                earlier = self._job_by_key(first.owner, key, first.created)
                if earlier is not None:
                    return self.jobs_of_sweep(earlier)
                self._db.execute(
                    "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)",
                    [first.owner, key, first.job_id, first.created.isoformat()],
                )
            for job in jobs:
                self._insert(job)
            # A sweep's script is kept once.
            self._db.execute(
                "INSERT OR IGNORE INTO scripts VALUES (?, ?)", [_script_id(first), script]
            )
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

    def jobs_of_sweep(self, job: Job) -> list[Job]:
        """Return every job of a job's sweep, or the job alone, in their order."""
        if job.spec.sweep is None:
            return [job]
        return self._jobs(
            "JOIN sweeps USING (job_id) WHERE sweep_id = ? ORDER BY n", job.spec.sweep.sweep_id
        )

    def job_by_key(self, owner: str, key: str) -> Job | None:
        """Return the job of an owner's idempotency key, if the key is still valid."""
        oldest = (utc_now() - KEY_LIFETIME).isoformat()
        rows = self._jobs(
            "JOIN keys USING (job_id) WHERE keys.owner = ? AND key = ? AND keys.created >= ?",
            owner,
            key,
            oldest,
        )
        return rows[0] if rows else None

    def _job_by_key(self, owner: str, key: str, now: datetime) -> Job | None:
        oldest = (now - KEY_LIFETIME).isoformat()
        self._db.execute("DELETE FROM keys WHERE created < ?", [oldest])
        rows = self._jobs("JOIN keys USING (job_id) WHERE keys.owner = ? AND key = ?", owner, key)
        return rows[0] if rows else None

    def save(self, job: Job) -> None:
        """Record the present state of a job."""
        with self._transaction():
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
        rows = self._jobs("WHERE job_id = ?", job_id)
        return rows[0] if rows else None

    def jobs_with_prefix(self, owner: str, prefix: str) -> list[Job]:
        """Return the jobs of an owner whose id begins with a prefix of hexadecimal digits."""
        return self._jobs("WHERE owner = ? AND job_id GLOB ? LIMIT 20", owner, f"{prefix}*")

    def jobs_with_container(self, owner: str, prefix: str) -> list[Job]:
        """Return the jobs of an owner whose container's id begins with a prefix."""
        return self._jobs("WHERE owner = ? AND container_id GLOB ? LIMIT 20", owner, f"{prefix}*")

    def page(self, owner: str, job_filter: JobFilter) -> JobPage:
        """Return a page of an owner's jobs, newest first."""
        values = {
            "owner": owner,
            "q": job_filter.q,
            "before": job_filter.before,
            "state": job_filter.state and job_filter.state.value,
            "name": job_filter.name,
            "image": job_filter.image,
            "since": job_filter.since and job_filter.since.isoformat(),
            "sweep": job_filter.sweep,
            "limit": job_filter.limit + 1,
        }
        rows = self._db.execute(
            f"SELECT n, body FROM jobs WHERE {_FILTER} AND (:before IS NULL OR n < :before)"  # noqa: S608
            " ORDER BY n DESC LIMIT :limit",
            values,
        ).fetchall()
        total = self._db.execute(f"SELECT count(*) FROM jobs WHERE {_FILTER}", values)  # noqa: S608
        page = rows[: job_filter.limit]
        return JobPage(
            jobs=tuple(msgspec.json.decode(body, type=Job) for _, body in page),
            next=page[-1][0] if len(rows) > job_filter.limit else None,
            total=total.fetchone()[0],
        )

    def jobs(self, job_ids: list[str]) -> dict[str, Job]:
        """Return the jobs of these ids that exist, by id."""
        placeholders = ",".join("?" * len(job_ids))
        return {
            job.job_id: job for job in self._jobs(f"WHERE job_id IN ({placeholders})", *job_ids)
        }

    def unfinished(self) -> list[Job]:
        """Return every job that has not ended, oldest first."""
        return self._jobs("WHERE state = 'RUNNING' ORDER BY n")

    def with_containers_to_remove(self, newest_kept: int, finished_before: datetime) -> list[Job]:
        """Return finished jobs whose containers' retention has ended, oldest first."""
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

    def save_snapshot(self, job_id: str, kind: str, body: bytes) -> None:
        """Save what a job's container had, to outlive it: ``log``, ``diff``, ``results``."""
        with self._transaction():
            # The job may have been deleted meanwhile; then nothing is saved.
            self._db.execute(
                "INSERT OR REPLACE INTO kept SELECT job_id, ?, ? FROM jobs WHERE job_id = ?",
                [kind, body, job_id],
            )

    def snapshot(self, job_id: str, kind: str) -> bytes | None:
        """Return what was saved by `save_snapshot`, or None."""
        row = self._db.execute(
            "SELECT body FROM kept WHERE job_id = ? AND what = ?", [job_id, kind]
        ).fetchone()
        return None if row is None else bytes(row[0])

    def delete(self, job: Job) -> None:
        """Delete a job; only the fact that it was deleted stays."""
        with self._transaction():
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

    def add_partial_write(self, root: str, path: str, body: bytes) -> None:
        """Record a partial write to a data root; see `JournaledPartialWrites`."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", [root, path, body])

    def remove_partial_write(self, root: str, path: str) -> None:
        """Delete the record of a partial write."""
        with self._transaction():
            self._db.execute("DELETE FROM drafts WHERE root = ? AND path = ?", [root, path])

    def roots_of_partial_writes(self, prefix: str) -> list[str]:
        """Return the data roots that have partial writes, and a name that begins so."""
        rows = self._db.execute(
            "SELECT DISTINCT root FROM drafts WHERE substr(root, 1, ?) = ? ORDER BY root",
            [len(prefix), prefix],
        )
        return [str(row[0]) for row in rows]

    def partial_writes(self, root: str) -> list[bytes]:
        """Return the recorded partial writes of one data root."""
        rows = self._db.execute("SELECT body FROM drafts WHERE root = ? ORDER BY path", [root])
        return [bytes(row[0]) for row in rows]


def _script_id(job: Job) -> str:
    """Return the id under which a job's script is stored."""
    return job.job_id if job.spec.sweep is None else job.spec.sweep.sweep_id


P = ParamSpec("P")
T = TypeVar("T")


class JournalThread:
    """Asynchronous access to a journal in a thread of its own: a slow disk blocks no event loop.

    Calls are carried out one after another, in the order in which they were made.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nds-journal")

    @property
    def server_id(self) -> str:
        """The journal's own id, the same over restarts."""
        return self._journal.server_id

    async def call(
        self, method: Callable[Concatenate[Journal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a method of `Journal` in the thread: ``await thread.call(Journal.save, job)``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: method(self._journal, *args, **kwargs)
        )

    def close(self) -> None:
        """Finish pending calls, then close the journal."""
        self._thread.shutdown(wait=True)
        self._journal.close()


class JournaledPartialWrites:
    """Record of the partial writes to one data root that outlives the process.

    Parameters
    ----------
    journal
        Owned by this process alone: what it has from earlier ones is being written by nobody.
    url
        Of the data root; partial writes to another one are left to the server that uses it.
    key
        Of the owner, where each has a root; see `DataIdentity.key`.
    """

    def __init__(self, journal: JournalThread, url: str, key: str = "") -> None:
        self._journal = journal
        self._root = f"{_root_of(url)}:{key}" if key else _root_of(url)

    async def add(self, partial: PartialWrite) -> None:
        """Store one, in the place of another of its path."""
        body = msgspec.json.encode(partial)
        await self._journal.call(Journal.add_partial_write, self._root, partial.path, body)

    async def remove(self, path: str) -> None:
        """Delete the one of a path."""
        await self._journal.call(Journal.remove_partial_write, self._root, path)

    async def partial_writes(self) -> list[PartialWrite]:
        """Return all of them."""
        bodies = await self._journal.call(Journal.partial_writes, self._root)
        return [msgspec.json.decode(body, type=PartialWrite) for body in bodies]


class JournaledRecords:
    """Records of the partial writes to one data root, for each owner; see `DataRoots`.

    Parameters
    ----------
    journal, url
        As of `JournaledPartialWrites`.
    """

    def __init__(self, journal: JournalThread, url: str) -> None:
        self._journal = journal
        self._url = url

    def for_key(self, key: str) -> JournaledPartialWrites:
        """Return one."""
        return JournaledPartialWrites(self._journal, self._url, key)

    async def keys(self) -> list[str]:
        """Return the keys whose record holds any."""
        root = _root_of(self._url)
        found = await self._journal.call(Journal.roots_of_partial_writes, root)
        return [each.removeprefix(root).removeprefix(":") for each in found]


def _root_of(url: str) -> str:
    # A URL may hold a password.
    return hashlib.sha256(url.encode()).hexdigest()
