"""Lookup of the job or container that an id, a prefix or a name means, for one owner.

What belongs to another owner does not exist here: it is `JobNotFound` or `ContainerNotFound`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, Container, Engine
from nds_jupyter.errors import (
    AmbiguousId,
    ContainerNotFound,
    InvalidRequest,
    JobNotFound,
    PathNotFound,
    Removed,
)
from nds_jupyter.jobs.job import Job, JobState
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner

T = TypeVar("T")

SHORTEST_PREFIX = 4
"""Characters; a shorter prefix of an id means nothing."""

_HEX = re.compile(r"[0-9a-f]{4,64}")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The job or container that a request is about.

    Parameters
    ----------
    job
        None for a container of no job, which only `all_containers` shows.
    container_id
        None while the job has no container.
    """

    job: Job | None
    container_id: str | None

    def require_container(self) -> str:
        """Return the container's id, or raise why there is none.

        Raises
        ------
        PathNotFound
            If the job has no container yet, or ended before it had one.
        Removed
            If the container is gone.
        """
        job = self.job
        if job is None and self.container_id is not None:
            return self.container_id
        if job is None or self.container_id is None:
            where = "has no container yet" if job and not job.is_finished else "had no container"
            raise PathNotFound(f"Job {job.job_id if job else ''} {where}.")
        if job.removed is not None:
            raise Removed(
                f"The container of job {job.job_id} was removed by retention at "
                f"{job.removed:%Y-%m-%d %H:%M} UTC. Its record, the end of its log, its metrics, "
                "and the list of its changes and results are still there."
            )
        if job.state is JobState.UNKNOWN:
            raise Removed(f"The container of job {job.job_id} was removed outside this server.")
        return self.container_id


class TargetLookup:
    """Lookup of jobs and containers by id, prefix or name.

    Parameters
    ----------
    all_containers
        Whether the reading routes see every container of the engine.
    """

    def __init__(
        self, runner: JobRunner, journal: JournalThread, engine: Engine, *, all_containers: bool
    ) -> None:
        self._runner = runner
        self._journal = journal
        self._engine = engine
        self._all = all_containers

    async def find_job(self, owner: str, job_id: str) -> Job:
        """Return an owner's job by its id or a unique prefix of it."""
        found = []
        if _HEX.fullmatch(job_id):
            found = await self._journal.call(Journal.jobs_with_prefix, owner, job_id)
        if not found:
            raise JobNotFound(f"No job of yours has the id {job_id}.", state="UNKNOWN")
        return self._runner.refresh(_require_unique(found, job_id, lambda job: job.job_id))

    async def wait_for_end(self, owner: str, job_id: str, wait: float) -> Job:
        """Return a job when it has ended, or as it is after `wait` seconds."""
        job = await self.find_job(owner, job_id)
        if wait and not job.is_finished:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    return await self._runner.wait_until(job.job_id, lambda job: job.is_finished)
        return self._runner.refresh(job)

    def refresh(self, job: Job) -> Job:
        """Return the job with its progress, which only memory has."""
        return self._runner.refresh(job)

    async def find_target(
        self, owner: str, *, job_id: str | None, cont_id: str | None, reading: bool = True
    ) -> Target:
        """Return the target that `job_id` or `cont_id` means; exactly one of them is given.

        Raises
        ------
        InvalidRequest
            If both are given, or neither.
        """
        if (job_id is None) == (cont_id is None):
            found = "neither is there" if job_id is None else "both are there"
            raise InvalidRequest(f"cont_id, job_id: give exactly one of them; {found}.")
        if job_id is not None:
            job = await self.find_job(owner, job_id)
            return Target(job=job, container_id=job.container_id)
        return await self._find_container_target(owner, cont_id or "", reading=reading)

    async def _find_container_target(self, owner: str, cont_id: str, *, reading: bool) -> Target:
        job = await self._find_job_of_container(owner, cont_id)
        if job is not None:
            return Target(job=job, container_id=job.container_id)
        container = await self.find_container(owner, cont_id, reading=reading)
        job = await self._journal.call(Journal.job, container.labels.get(LABEL_JOB, ""))
        if job is not None and job.owner == owner:
            return Target(job=self._runner.refresh(job), container_id=container.id)
        return Target(job=None, container_id=container.id)

    async def _find_job_of_container(self, owner: str, cont_id: str) -> Job | None:
        """Return the job whose container this is, also when the container is gone."""
        found: list[Job] = []
        name = cont_id.removeprefix("nds-")
        if name != cont_id and re.fullmatch(r"[0-9a-f]{16}", name):
            found = await self._journal.call(Journal.jobs_with_prefix, owner, name)
        elif _HEX.fullmatch(cont_id):
            found = await self._journal.call(Journal.jobs_with_container, owner, cont_id)
        if not found:
            return None
        return self._runner.refresh(
            _require_unique(found, cont_id, lambda job: job.container_id or "")
        )

    async def find_container(self, owner: str, cont_id: str, *, reading: bool = True) -> Container:
        """Return a container on the engine that this owner may see."""
        missing = ContainerNotFound(f"No container of yours has the id or name {cont_id}.")
        if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", cont_id):
            raise missing
        try:
            container = await self._engine.inspect(cont_id)
        except AmbiguousId:
            return await self._find_container_by_prefix(owner, cont_id, reading=reading)
        except ContainerNotFound:
            job = await self._find_job_of_container(owner, cont_id)
            if job is not None and job.container_id is not None:
                Target(job=job, container_id=job.container_id).require_container()
            raise missing from None
        by_prefix = container.name != cont_id and len(cont_id) < SHORTEST_PREFIX
        if by_prefix or not self._may_see(owner, container.labels, reading=reading):
            raise missing
        return container

    def _may_see(self, owner: str, labels: dict[str, str], *, reading: bool) -> bool:
        if self._all and reading:
            return True
        return LABEL_JOB in labels and labels.get(LABEL_OWNER) == owner

    async def _find_container_by_prefix(
        self, owner: str, prefix: str, *, reading: bool
    ) -> Container:
        labels = {} if self._all and reading else {LABEL_JOB: "", LABEL_OWNER: owner}
        rows = await self._engine.containers(labels, include_ended=True)
        found = [row.id for row in rows if row.id.startswith(prefix)]
        if not found or len(prefix) < SHORTEST_PREFIX:
            raise ContainerNotFound(f"No container of yours has the id or name {prefix}.")
        return await self._engine.inspect(_require_unique(found, prefix, lambda found: found))


def _require_unique(found: list[T], prefix: str, identify: Callable[[T], str]) -> T:
    if len(found) > 1:
        matches = sorted(map(identify, found))
        raise AmbiguousId(
            f"{prefix} is the beginning of several ids: {', '.join(matches)}. Give more of it.",
            matches=matches,
        )
    return found[0]
