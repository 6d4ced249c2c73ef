"""Actions on jobs for one owner: submit, stop, delete, rerun."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.admission.policy import Policy, admit_all
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, Container, ContainerStatus, Engine
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    InvalidRequest,
    JobNotFound,
    RefusedByPolicy,
)
from nds_jupyter.jobs.job import Job, JobSpec
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import StopView
from nds_jupyter.runner import JobRunner
from nds_jupyter.services.sent_files import SentFiles
from nds_jupyter.services.target_lookup import TargetLookup

STOP_SLACK = 30.0
"""Seconds that a stop may take beyond its grace before the answer is 504."""

ENGINE_INFO_DEADLINE = 3.0
"""Seconds that a POST waits for an engine that says nothing; see `JobRunner.submit`."""

NO_BUILDS = (
    "requirements, dockerfile: a Swarm of several nodes builds no images, since no other node "
    "would have them. Build it elsewhere, push it to a registry that every node reaches, and name "
    "it as image_name."
)

LONGEST_KEY = 255
"""Characters of an idempotency key."""


class JobActions:
    """The actions on jobs that change something, for one owner at a time."""

    def __init__(
        self,
        runner: JobRunner,
        journal: JournalThread,
        engine: Engine,
        lookup: TargetLookup,
        policy: Policy,
        data_roots: DataRoots,
        files: SentFiles,
    ) -> None:
        self._runner = runner
        self._journal = journal
        self._engine = engine
        self._lookup = lookup
        self._policy = policy
        self._data_roots = data_roots
        self._files = files

    async def submit(
        self, owner: str, request: JobRequest, key: str | None
    ) -> tuple[list[Job], bool]:
        """Admit and accept a job, or one for each point of a sweep; see `JobRunner.submit`."""
        if key is not None and not 0 < len(key) <= LONGEST_KEY:
            raise InvalidRequest(f"Idempotency-Key: use 1 to {LONGEST_KEY} characters.")
        if request.data or request.output is not None:
            data = await self._data_roots.for_owner(owner)
            specs, script = admit_all(request, self._policy, data.parse_path)
        else:
            # A job without data needs no account in the data root.
            specs, script = admit_all(request, self._policy)
        await self._refuse_builds_if_unsupported(specs)
        specs = await self._files.add_sizes(owner, specs)
        return await self._runner.submit_all(owner, specs, script, key)

    async def _refuse_builds_if_unsupported(self, specs: Sequence[JobSpec]) -> None:
        if all(spec.build is None for spec in specs):
            return
        # A job of an engine that is slow to answer is accepted, and refused by the engine itself.
        with contextlib.suppress(TimeoutError, DeadlineExceeded):
            async with asyncio.timeout(ENGINE_INFO_DEADLINE):
                if not (await self._engine.info()).builds_images:
                    raise RefusedByPolicy(NO_BUILDS)

    async def rerun(self, owner: str, job_id: str) -> Job:
        """Accept the same job again."""
        job = await self._lookup.find_job(owner, job_id)
        await self._refuse_builds_if_unsupported([job.spec])
        await self._files.restore(job)
        return await self._runner.rerun(job)

    async def send_to_background(self, owner: str, job_id: str) -> Job:
        """Tell the cell that waits for a job to go on without it."""
        return await self._runner.send_to_background(await self._lookup.find_job(owner, job_id))

    async def delete(self, owner: str, job_id: str) -> None:
        """Stop and delete a job; fine if its owner deleted it before."""
        try:
            await self._runner.delete(await self._lookup.find_job(owner, job_id))
        except JobNotFound:
            # Deleted before, or by somebody else while it was being stopped.
            if not await self._journal.call(Journal.was_deleted, owner, job_id):
                raise

    async def stop(
        self, owner: str, *, job_id: str | None, cont_id: str | None, grace: float
    ) -> StopView:
        """Stop a job or container and return its end as a sentence.

        Raises
        ------
        DeadlineExceeded
            If it has not ended in time; the stop is recorded and will be carried out.
        """
        target = await self._lookup.find_target(
            owner, job_id=job_id, cont_id=cont_id, reading=False
        )
        if target.job is None:
            return await self._stop_container(owner, target.container_id or "", grace)
        job = target.job
        if job.is_finished:
            return StopView(state="success", msg=f"Job {job.job_id} had ended as {job.state}.")
        try:
            async with asyncio.timeout(grace + STOP_SLACK):
                job = await self._runner.stop(job, grace)
        except TimeoutError as exc:
            raise DeadlineExceeded(
                f"Job {job.job_id} has not ended yet. The stop is recorded and will be carried "
                "out as soon as the engine answers."
            ) from exc
        return StopView(state="success", msg=f"Job {job.job_id} ended as {job.state}.")

    async def _stop_container(self, owner: str, container_id: str, grace: float) -> StopView:
        """Stop a container of a job that another server of this owner runs."""
        container = await self._engine.inspect(container_id)
        if not _is_job_of(container, owner):
            raise ContainerNotFound(f"No container of yours has the id or name {container_id}.")
        if container.state in {ContainerStatus.EXITED, ContainerStatus.DEAD}:
            return StopView(state="success", msg=f"The container {container.name} had ended.")
        await self._engine.stop(container.id, grace)
        return StopView(state="success", msg=f"The container {container.name} was stopped.")


def _is_job_of(container: Container, owner: str) -> bool:
    return LABEL_JOB in container.labels and container.labels.get(LABEL_OWNER) == owner
