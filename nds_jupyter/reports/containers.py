"""What the reading routes tell of containers: lists, information, differences, metrics."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec

from nds_jupyter.admission.policy import Policy
from nds_jupyter.engine_views import (
    ChangeView,
    ContainerRow,
    ContainerView,
    ImageView,
    MetricView,
    SampleView,
)
from nds_jupyter.engines.base import (
    LABEL_JOB,
    LABEL_OWNER,
    Change,
    ContainerSummary,
    Engine,
    Sample,
)
from nds_jupyter.errors import ContainerNotFound, NoEndpoint
from nds_jupyter.journal import Journal
from nds_jupyter.journal.thread import JournalThread
from nds_jupyter.lookup import Lookup, Target
from nds_jupyter.reports.changes import is_input, of_the_script
from nds_jupyter.reports.container_views import (
    absent_image,
    container_view,
    image_views,
    view_from_record,
)
from nds_jupyter.runner import JobRunner

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

AT_ONCE = 8
"""Containers inspected at the same time."""


class Reports:
    """Answers the reading routes for one owner at a time.

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
        lookup: Lookup,
        policy: Policy,
        *,
        all_containers: bool,
    ) -> None:
        self._runner = runner
        self._journal = journal
        self._engine = engine
        self._lookup = lookup
        self._policy = policy
        self._all = all_containers

    async def images(self) -> list[ImageView]:
        """List the images that a job may use, those that a pull would bring included."""
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
            absent_image(name) for name in absent
        ]

    async def rows(self, owner: str, *, include_ended: bool = True) -> list[ContainerRow]:
        """List an owner's containers, newest first."""
        summaries = await self._summaries(owner, include_ended=include_ended)
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

    async def _summaries(self, owner: str, *, include_ended: bool) -> list[ContainerSummary]:
        labels = {} if self._all else {LABEL_JOB: "", LABEL_OWNER: owner}
        found = await self._engine.containers(labels, include_ended=include_ended)
        return sorted(found, key=lambda each: each.created, reverse=True)

    async def container(self, owner: str, cont_id: str) -> ContainerView:
        """Describe one container."""
        container = await self._lookup.container(owner, cont_id)
        return container_view(container)

    async def last_used(self, owner: str) -> list[ContainerView]:
        """Describe an owner's containers, the one that last started or ended first."""
        summaries = await self._summaries(owner, include_ended=True)
        jobs = await self._journal.do(
            Journal.jobs, [each.labels.get(LABEL_JOB, "") for each in summaries]
        )
        gate = asyncio.Semaphore(AT_ONCE)

        async def describe(summary: ContainerSummary) -> ContainerView | None:
            job = jobs.get(summary.labels.get(LABEL_JOB, ""))
            if job is not None:
                return view_from_record(summary, job)
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
            body = await self._journal.do(Journal.kept, job.job_id, "diff")
            changes = msgspec.json.decode(body or b"[]", type=tuple[Change, ...])
        elif job is not None and target.container_id is None:
            changes = ()
        else:
            changes = await self._engine.diff(target.present_container())
        return [
            ChangeView(path=change.path, kind=change.kind.value)
            for change in of_the_script(changes)
            if not is_input(change, target.job)
        ]

    async def metric(self, target: Target) -> MetricView:
        """Tell what a container uses and used."""
        now: Sample | None = None
        history: tuple[Sample, ...] = ()
        if target.job is not None:
            now, history = await self._runner.samples(target.job.job_id)
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
