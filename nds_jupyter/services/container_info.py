"""Lists, information, filesystem diff and metrics of containers, as the REST API gives them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec

from nds_jupyter.admission.policy import Policy
from nds_jupyter.engines.base import (
    LABEL_JOB,
    LABEL_OWNER,
    Change,
    Container,
    ContainerSummary,
    Engine,
    Image,
    Sample,
)
from nds_jupyter.errors import ContainerNotFound, NoEndpoint
from nds_jupyter.jobs.job import Job
from nds_jupyter.jobs.script import build_command, interpreter_candidates
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import (
    ChangeView,
    ContainerRow,
    ContainerView,
    ImageView,
    MetricView,
    MountView,
    SampleView,
)
from nds_jupyter.runner import JobRunner
from nds_jupyter.services.filesystem_diff import changes_of_script, is_input_change
from nds_jupyter.services.target_lookup import Target, TargetLookup


def image_views(image: Image) -> list[ImageView]:
    """Return a row for each name of an image."""
    views = []
    for reference in image.references:
        name, _, tag = reference.rpartition(":")
        views.append(
            ImageView(
                name=name,
                tag=tag,
                id=image.id,
                size=image.size,
                created=image.created,
                workers=image.workers,
            )
        )
    return views


def absent_image_view(reference: str) -> ImageView:
    """Return the row of an image that would be pulled."""
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        name, tag = reference, "latest"
    return ImageView(name=name, tag=tag, id="", size=0, created=None, present=False)


def container_view(container: Container) -> ContainerView:
    """Return the view of a container that the engine has inspected."""
    return ContainerView(
        id=container.id,
        name=container.name,
        image=container.image,
        command=container.command,
        state=container.state.value,
        status=_format_status(container),
        exit_code=container.exit_code,
        created=container.created,
        started=container.started,
        finished=container.finished,
        limits=container.limits,
        mounts=msgspec.convert(container.mounts, tuple[MountView, ...], from_attributes=True),
        labels=container.labels,
        worker=container.worker,
        job_id=container.labels.get(LABEL_JOB, ""),
        owner=container.labels.get(LABEL_OWNER, ""),
        last_used=container.finished or container.started or container.created,
        note=container.out_of_reach,
    )


def _format_status(container: Container) -> str:
    if container.exit_code is not None and container.finished is not None:
        return f"{container.state.value} ({container.exit_code})"
    return container.state.value


def recorded_container_view(summary: ContainerSummary, job: Job) -> ContainerView:
    """Return the view of a container by its job: inspecting each would take seconds."""
    return ContainerView(
        id=summary.id,
        name=summary.name,
        image=summary.image,
        command=build_command(job.spec, next(iter(interpreter_candidates(job.spec)), None)),
        state=summary.state.value,
        status=summary.status,
        exit_code=job.exit_code,
        created=summary.created,
        started=job.started,
        finished=job.ended,
        limits=job.spec.limits,
        mounts=(),
        labels=summary.labels,
        worker=summary.worker,
        job_id=job.job_id,
        owner=job.owner,
        last_used=job.ended or job.started or summary.created,
    )


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

CONCURRENT_INSPECTIONS = 8
"""Containers inspected at the same time."""


class ContainerInfo:
    """Images, containers, their filesystem changes and metrics, for one owner at a time.

    Parameters
    ----------
    all_containers
        Whether every container of the engine is shown.
    """

    def __init__(
        self,
        runner: JobRunner,
        journal: JournalThread,
        engine: Engine,
        lookup: TargetLookup,
        policy: Policy,
        *,
        all_containers: bool,
    ) -> None:
        self._runner = runner
        self._journal = journal
        self._engine = engine
        self._lookup = lookup
        self._policy = policy
        self._all_containers = all_containers

    async def list_images(self) -> list[ImageView]:
        """List the images that a job may use, including those that would be pulled."""
        present = [
            view
            for image in await self._engine.images()
            for view in image_views(image)
            if self._policy.allows_image(f"{view.name}:{view.tag}")
        ]
        there = {f"{view.name}:{view.tag}" for view in present}
        named = {self._policy.default_image, *self._policy.allowed_images} - there
        # A pattern is no image; what is left names one that a pull would bring.
        absent = [name for name in sorted(named) if name and not set(name) & set("*?[")]
        return sorted(present, key=lambda view: (view.name, view.tag)) + [
            absent_image_view(name) for name in absent
        ]

    async def list_containers(
        self, owner: str, *, include_ended: bool = True
    ) -> list[ContainerRow]:
        """List an owner's containers, newest first."""
        summaries = await self._list_summaries(owner, include_ended=include_ended)
        return [
            ContainerRow(
                id=each.id,
                name=each.name,
                image=each.image,
                state=each.state.value,
                status=each.status,
                created=each.created,
                worker=each.worker,
                job_id=each.labels.get(LABEL_JOB, ""),
                owner=each.labels.get(LABEL_OWNER, ""),
            )
            for each in summaries
        ]

    async def _list_summaries(self, owner: str, *, include_ended: bool) -> list[ContainerSummary]:
        labels = {} if self._all_containers else {LABEL_JOB: "", LABEL_OWNER: owner}
        summaries = await self._engine.containers(labels, include_ended=include_ended)
        return sorted(summaries, key=lambda each: each.created, reverse=True)

    async def describe_container(self, owner: str, cont_id: str) -> ContainerView:
        """Return the view of one container."""
        container = await self._lookup.find_container(owner, cont_id)
        return container_view(container)

    async def list_by_last_use(self, owner: str) -> list[ContainerView]:
        """List an owner's containers, the one that last started or ended first."""
        summaries = await self._list_summaries(owner, include_ended=True)
        jobs = await self._journal.call(
            Journal.jobs, [each.labels.get(LABEL_JOB, "") for each in summaries]
        )
        gate = asyncio.Semaphore(CONCURRENT_INSPECTIONS)

        async def describe(summary: ContainerSummary) -> ContainerView | None:
            job = jobs.get(summary.labels.get(LABEL_JOB, ""))
            if job is not None:
                return recorded_container_view(summary, job)
            async with gate:
                try:
                    return container_view(await self._engine.inspect(summary.id))
                except ContainerNotFound:
                    return None

        views = [view for view in await asyncio.gather(*map(describe, summaries)) if view]
        return sorted(views, key=lambda view: view.last_used or _LONG_AGO, reverse=True)

    async def diff(self, target: Target) -> list[ChangeView]:
        """List what a container changed, without what the runner put there."""
        job = target.job
        if job is not None and job.removed is not None:
            body = await self._journal.call(Journal.snapshot, job.job_id, "diff")
            changes = msgspec.json.decode(body or b"[]", type=tuple[Change, ...])
        elif job is not None and target.container_id is None:
            changes = ()
        else:
            changes = await self._engine.diff(target.require_container())
        return [
            ChangeView(path=change.path, kind=change.kind.value)
            for change in changes_of_script(changes)
            if not is_input_change(change, target.job)
        ]

    async def read_metrics(self, target: Target) -> MetricView:
        """Return what a container uses now, and the samples so far."""
        now: Sample | None = None
        history: tuple[Sample, ...] = ()
        if target.job is not None:
            now, history = await self._runner.metrics(target.job.job_id)
        info = None
        if target.container_id is not None and not (target.job and target.job.removed):
            with contextlib.suppress(ContainerNotFound):
                container = await self._engine.inspect(target.container_id)
                if container.out_of_reach and not history:
                    raise NoEndpoint(container.out_of_reach)
                info = container_view(container)
        return MetricView(
            now=None if now is None else msgspec.convert(now, SampleView, from_attributes=True),
            history=msgspec.convert(history, tuple[SampleView, ...], from_attributes=True),
            info=info,
        )
