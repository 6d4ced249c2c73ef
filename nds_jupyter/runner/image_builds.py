"""Builds of images, each shared by all jobs that need the same image."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator

from nds_jupyter.admission.dockerfiles import REQUIREMENTS
from nds_jupyter.engines.base import LABEL_BUILD, LABEL_SERVER, Engine, ImageSpec
from nds_jupyter.errors import EngineError, EngineUnavailable, ImageNotFound
from nds_jupyter.jobs.job import BuildSpec, JobSpec, utc_now
from nds_jupyter.rest.views import LogLine

LONGEST_BUILD = 3600.0
"""Seconds after which a build is cancelled."""

BUFFERED_LINES = 1000
"""Lines of a build's log that a late follower can still read."""

LAST_LINES = 20
"""Lines of its end in the message of a job whose build failed."""

STREAM = "build"
"""The `stream` of a build's lines in a log."""

LONGEST_LINE = 4096
"""Characters of a line; the rest of a longer one is left out."""


class ImageBuild:
    """One running build and its log.

    Attributes
    ----------
    job_count
        Jobs that wait for it; without any it is cancelled.
    """

    def __init__(self) -> None:
        self.job_count = 0
        self.task: asyncio.Task[None] | None = None
        self._lines: deque[LogLine] = deque(maxlen=BUFFERED_LINES)
        self._line_count = 0
        self._finished = False
        self._changed = asyncio.Event()

    def add_line(self, text: str) -> None:
        """Add a line to the log."""
        now = utc_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._lines.append(LogLine(stream=STREAM, time=now, text=text[:LONGEST_LINE]))
        self._line_count += 1
        self._wake()

    def finish(self) -> None:
        """Mark the log as complete."""
        self._finished = True
        self._wake()

    async def wait(self) -> None:
        """Wait for the end, and raise what the build raised; cancelling this does not cancel it."""
        if self.task is not None:
            await asyncio.shield(self.task)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def last_lines(self) -> str:
        """Return the end of the log."""
        return "\n".join(line.text for line in list(self._lines)[-LAST_LINES:])

    async def follow(self) -> AsyncGenerator[list[LogLine], None]:
        """Yield the lines in batches, until the build has ended."""
        seen = 0
        while True:
            changed = self._changed
            if self._line_count > seen:
                missed = min(self._line_count - seen, len(self._lines))
                seen = self._line_count
                yield list(self._lines)[-missed:]
            elif self._finished:
                return
            else:
                await changed.wait()


class ImageBuilds:
    """Registry of the running builds, by the tag of the image.

    Parameters
    ----------
    server_id
        Put into a label of every image, so that this server removes its own.
    """

    def __init__(self, engine: Engine, server_id: str) -> None:
        self._engine = engine
        self._server_id = server_id
        self._running: dict[str, ImageBuild] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def join(self, spec: JobSpec, build: BuildSpec) -> Iterator[ImageBuild]:
        """Join a build, started if it does not run; it is cancelled when the last job leaves."""
        image_build = self._running.get(build.tag)
        if image_build is None:
            image_build = self._running[build.tag] = ImageBuild()
            self._start(image_build, spec, build)
        image_build.job_count += 1
        try:
            yield image_build
        finally:
            image_build.job_count -= 1
            if (
                not image_build.job_count
                and image_build.task is not None
                and not image_build.task.done()
            ):
                image_build.task.cancel()
                self._forget(image_build, build.tag)

    def _start(self, image_build: ImageBuild, spec: JobSpec, build: BuildSpec) -> None:
        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._forget(image_build, build.tag)
            if not task.cancelled():
                # Retrieved, also if every job has left meanwhile.
                task.exception()

        image_build.task = asyncio.create_task(self._run(image_build, spec, build))
        self._tasks.add(image_build.task)
        image_build.task.add_done_callback(over)

    async def follow_log(self, build: BuildSpec) -> AsyncGenerator[list[LogLine], None]:
        """Yield the log of a build until its end; nothing if it does not run."""
        image_build = self._running.get(build.tag)
        if image_build is not None:
            async for lines in image_build.follow():
                yield lines

    def _forget(self, image_build: ImageBuild, tag: str) -> None:
        if self._running.get(tag) is image_build:
            del self._running[tag]

    async def _run(self, image_build: ImageBuild, spec: JobSpec, build: BuildSpec) -> None:
        image = ImageSpec(
            reference=build.tag,
            dockerfile=build.dockerfile,
            files={REQUIREMENTS: build.requirements.encode()} if build.requirements else {},
            labels={LABEL_BUILD: spec.image, LABEL_SERVER: self._server_id},
            limits=spec.limits,
            network=build.network,
        )
        try:
            async with asyncio.timeout(LONGEST_BUILD):
                async with contextlib.aclosing(self._engine.build(image)) as lines:
                    async for line in lines:
                        image_build.add_line(line)
        except TimeoutError as exc:
            raise ImageNotFound(
                f"The build of the image has not ended after {LONGEST_BUILD:g} s."
            ) from exc
        except EngineUnavailable:
            raise
        except (EngineError, ImageNotFound) as exc:
            said = f"The build of the image failed: {exc.message}\n{image_build.last_lines()}"
            raise ImageNotFound(said.strip()) from exc
        finally:
            image_build.finish()

    async def close(self) -> None:
        """Cancel the running builds."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
