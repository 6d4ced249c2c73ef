"""Logs of jobs: the build of the image, each attempt, or what was stored at the removal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence

import msgspec

from nds_jupyter.engines.base import Engine, LogRequest, LogStream
from nds_jupyter.errors import Removed
from nds_jupyter.jobs.job import Job, Phase
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.logs.lines import LogTail, message_time, read_text_tail, split_into_lines
from nds_jupyter.logs.resume import read_whole_log
from nds_jupyter.rest.views import LogLine, LogText
from nds_jupyter.runner import JobRunner
from nds_jupyter.services.target_lookup import Target


class JobLogs:
    """Reader of logs as text and as lines, from the engine or from what was stored of them."""

    def __init__(self, runner: JobRunner, journal: JournalThread, engine: Engine) -> None:
        self._runner = runner
        self._journal = journal
        self._engine = engine

    async def read_end(self, target: Target, request: LogRequest, limit: int) -> LogText:
        """Return the end of a log as text, at most `limit` bytes of it."""
        if target.job is not None and target.job.removed is not None:
            return await self._read_stored_end(target.job, request, limit)
        if target.container_id is None:
            return LogText(stdout="", truncated=False)
        container_id = target.require_container()
        data, truncated = await read_text_tail(self._engine, container_id, request, limit)
        return LogText(stdout=data.decode("utf-8", "replace"), truncated=truncated)

    async def stream_text(self, target: Target, request: LogRequest) -> AsyncGenerator[bytes, None]:
        """Stream a log as it is; if it is followed, until the job's end."""
        async with contextlib.aclosing(self._stream_build_lines(target, request)) as batches:
            async for lines in batches:
                yield _format_lines(lines, request)
        async with contextlib.aclosing(self._follow_attempts(target, request)) as attempts:
            async for attempt, attempt_request in attempts:
                if attempt.job is not None and attempt.job.removed is not None:
                    yield _format_lines(
                        await self._read_stored_lines(attempt.job, attempt_request), attempt_request
                    )
                elif attempt.container_id is not None:
                    log = read_whole_log(self._engine, attempt.require_container(), attempt_request)
                    async with contextlib.aclosing(log) as chunks:
                        async for chunk in chunks:
                            yield chunk.data

    async def stream_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        """Stream a log as batches of lines; if it is followed, until the job's end.

        A followed log begins with the log of the build that the job waits for, if any.
        """
        async with contextlib.aclosing(self._stream_build_lines(target, request)) as built:
            async for lines in built:
                yield lines
        async with contextlib.aclosing(self._stream_container_lines(target, request)) as batches:
            async for lines in batches:
                yield lines

    async def stream_job_lines(
        self, job_id: str, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        """Stream the log of a job as batches of lines; the caller has checked its owner."""
        job = await self._runner.find_job(job_id)
        target = Target(job=job, container_id=job.container_id)
        async with contextlib.aclosing(self._stream_container_lines(target, request)) as batches:
            async for lines in batches:
                yield lines

    async def _stream_build_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        """Stream the log of a running build, if both streams are followed."""
        if target.job is None or not request.follow or request.stream is not LogStream.BOTH:
            return
        async with contextlib.aclosing(self._runner.follow_build_log(target.job)) as batches:
            async for lines in batches:
                yield lines

    async def _stream_container_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[list[LogLine], None]:
        timed = msgspec.structs.replace(request, timestamps=True)
        async with contextlib.aclosing(self._follow_attempts(target, timed)) as attempts:
            async for attempt, attempt_request in attempts:
                if attempt.job is not None and attempt.job.removed is not None:
                    yield await self._read_stored_lines(attempt.job, attempt_request)
                elif attempt.container_id is not None:
                    log = read_whole_log(self._engine, attempt.require_container(), attempt_request)
                    async with (
                        contextlib.aclosing(log) as chunks,
                        contextlib.aclosing(split_into_lines(chunks)) as batches,
                    ):
                        async for lines in batches:
                            yield lines

    async def _follow_attempts(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[tuple[Target, LogRequest], None]:
        """Yield one attempt after another; if the log is followed, each as it begins."""
        next_target: Target | None = target
        while next_target is not None:
            started = await self._wait_for_start(next_target, request)
            yield started, request
            next_target = await self._wait_for_next_attempt(started, request)
            request = msgspec.structs.replace(request, tail=None)

    async def _wait_for_start(self, target: Target, request: LogRequest) -> Target:
        """Wait, if the log is followed, until there is something to read or the job has ended."""
        job = target.job
        if job is None or job.is_finished or not request.follow:
            return target
        job = await self._runner.wait_until(
            job.job_id, lambda job: job.started is not None or job.phase is Phase.COLLECTING
        )
        return Target(job=job, container_id=job.container_id)

    async def _wait_for_next_attempt(self, target: Target, request: LogRequest) -> Target | None:
        """Wait, if the log is followed, for the job's end, or return its next attempt."""
        if not request.follow or target.job is None:
            return None
        read = target.job.attempts
        job = await self._runner.wait_until(
            target.job.job_id, lambda job: job.attempts > read and job.started is not None
        )
        return Target(job=job, container_id=job.container_id) if job.attempts > read else None

    async def _read_stored_end(self, job: Job, request: LogRequest, limit: int) -> LogText:
        stored = await self._load_stored_log(job)
        text = _format_lines(_select_lines(stored.lines, request), request)
        return LogText(
            stdout=text[-limit:].decode("utf-8", "replace"),
            truncated=stored.truncated or len(text) > limit,
        )

    async def _read_stored_lines(self, job: Job, request: LogRequest) -> list[LogLine]:
        return _select_lines((await self._load_stored_log(job)).lines, request)

    async def _load_stored_log(self, job: Job) -> LogTail:
        body = await self._journal.call(Journal.snapshot, job.job_id, "log")
        if body is None:
            raise Removed(f"The log of job {job.job_id} was removed with its container.")
        return msgspec.json.decode(body, type=LogTail)


def _select_lines(lines: Sequence[LogLine], request: LogRequest) -> list[LogLine]:
    chosen = [
        line
        for line in lines
        if request.stream is LogStream.BOTH or line.stream == request.stream.value
        if request.since is None or message_time(line.time) >= request.since
    ]
    return (
        chosen if request.tail is None else chosen[len(chosen) - min(request.tail, len(chosen)) :]
    )


def _format_lines(lines: Sequence[LogLine], request: LogRequest) -> bytes:
    def text(line: LogLine) -> str:
        return f"{line.time} {line.text}\n" if request.timestamps else f"{line.text}\n"

    return "".join(map(text, lines)).encode()
