"""What the reading routes tell of containers: lists, information, differences, metrics, logs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import msgspec

from nds_jupyter.changes import is_input, of_the_script
from nds_jupyter.container_views import absent_image, container_view, image_views, view_from_record
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
    LogRequest,
    LogStream,
    Sample,
)
from nds_jupyter.errors import ContainerNotFound, NoEndpoint, Removed
from nds_jupyter.jobs import Job, Phase
from nds_jupyter.journal import Journal
from nds_jupyter.journal_thread import JournalThread
from nds_jupyter.log_end import whole_log
from nds_jupyter.logs import KeptLog, end_of_text, lines_of
from nds_jupyter.lookup import Lookup, Target
from nds_jupyter.policy import Policy
from nds_jupyter.runner import JobRunner
from nds_jupyter.views import LogLine, LogText

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

    async def log_end(self, target: Target, request: LogRequest, limit: int) -> LogText:
        """Return the end of a log as text, at most `limit` bytes of it."""
        if target.job is not None and target.job.removed is not None:
            return await self._kept_end(target.job, request, limit)
        if target.container_id is None:
            return LogText(stdout="", truncated=False)
        container_id = target.present_container()
        data, truncated = await end_of_text(self._engine, container_id, request, limit)
        return LogText(stdout=data.decode("utf-8", "replace"), truncated=truncated)

    async def _kept_end(self, job: Job, request: LogRequest, limit: int) -> LogText:
        kept = await self._kept_log(job)
        lines = _chosen(kept.lines, request)
        text = "".join(_as_text(line, request) for line in lines).encode()
        return LogText(
            stdout=text[-limit:].decode("utf-8", "replace"),
            truncated=kept.truncated or len(text) > limit,
        )

    async def _kept_log(self, job: Job) -> KeptLog:
        body = await self._journal.do(Journal.kept, job.job_id, "log")
        if body is None:
            raise Removed(f"The log of job {job.job_id} was removed with its container.")
        return msgspec.json.decode(body, type=KeptLog)

    async def log_text(self, target: Target, request: LogRequest) -> AsyncGenerator[bytes, None]:
        """Stream a log as it is; when it is followed, the end of the stream is the job's end."""
        async with contextlib.aclosing(self._build_lines(target, request)) as batches:
            async for lines in batches:
                yield "".join(_as_text(line, request) for line in lines).encode()
        following: Target | None = target
        while following is not None:
            target = await self._begun(following, request)
            if target.job is not None and target.job.removed is not None:
                kept = _chosen((await self._kept_log(target.job)).lines, request)
                yield "".join(_as_text(line, request) for line in kept).encode()
            elif target.container_id is not None:
                container_id = target.present_container()
                log = whole_log(self._engine, container_id, request)
                async with contextlib.aclosing(log) as chunks:
                    async for chunk in chunks:
                        yield chunk.data
            following = await self._next_attempt(target, request)
            request = msgspec.structs.replace(request, tail=None)

    async def log_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        """Stream a log as batches of lines; when it is followed, until the job's end.

        What is followed begins with the log of the build that the job waits for, if any.
        """
        async with contextlib.aclosing(self._build_lines(target, request)) as built:
            async for lines in built:
                yield lines
        async with contextlib.aclosing(self._container_lines(target, request)) as batches:
            async for lines in batches:
                yield lines

    async def _build_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        """Stream the log of a build under way, to who follows both streams."""
        if target.job is None or not request.follow or request.stream is not LogStream.BOTH:
            return
        async with contextlib.aclosing(self._runner.build_log(target.job)) as batches:
            async for lines in batches:
                yield lines

    async def _container_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        following: Target | None = target
        while following is not None:
            target = await self._begun(following, request)
            if target.job is not None and target.job.removed is not None:
                yield _chosen((await self._kept_log(target.job)).lines, request)
            elif target.container_id is not None:
                container_id = target.present_container()
                timed = msgspec.structs.replace(request, timestamps=True)
                async with (
                    contextlib.aclosing(whole_log(self._engine, container_id, timed)) as chunks,
                    contextlib.aclosing(lines_of(chunks)) as batches,
                ):
                    async for lines in batches:
                        yield lines
            following = await self._next_attempt(target, request)
            request = msgspec.structs.replace(request, tail=None)

    async def log_of_job(
        self, job_id: str, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        """Stream the log of a job as batches of lines, for whoever may read it."""
        job = await self._runner.job(job_id)
        target = Target(job=job, container_id=job.container_id)
        async with contextlib.aclosing(self._container_lines(target, request)) as batches:
            async for lines in batches:
                yield lines

    async def _begun(self, target: Target, request: LogRequest) -> Target:
        """Wait, when following, until there is something to read or the job has ended."""
        job = target.job
        if job is None or job.is_finished or not request.follow:
            return target
        job = await self._runner.until(
            job.job_id, lambda job: job.started is not None or job.phase is Phase.COLLECTING
        )
        return Target(job=job, container_id=job.container_id)

    async def _next_attempt(self, target: Target, request: LogRequest) -> Target | None:
        """Wait, when following, for the job's end; what to read on if it runs again instead."""
        if not request.follow or target.job is None:
            return None
        read = target.job.attempts
        job = await self._runner.until(
            target.job.job_id, lambda job: job.attempts > read and job.started is not None
        )
        return Target(job=job, container_id=job.container_id) if job.attempts > read else None


def _chosen(lines: tuple[LogLine, ...], request: LogRequest) -> list[LogLine]:
    chosen = [
        line
        for line in lines
        if request.stream is LogStream.BOTH or line.stream == request.stream.value
        if request.since is None or datetime.fromisoformat(line.time[:26] + "Z") >= request.since
    ]
    return (
        chosen if request.tail is None else chosen[len(chosen) - min(request.tail, len(chosen)) :]
    )


def _as_text(line: LogLine, request: LogRequest) -> str:
    return f"{line.time} {line.text}\n" if request.timestamps else f"{line.text}\n"
