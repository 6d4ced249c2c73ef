"""Image builds for jobs, shared by the jobs that need the same image."""

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
"""Seconds after which a build is given up."""

BUFFERED_LINES = 1000
"""Lines of a build's log for who comes late."""

LAST_LINES = 20
"""Lines of its end in the message of a job whose build failed."""

STREAM = "build"
"""What the lines of a build are marked with in a log."""

LONGEST_LINE = 4096
"""Characters of a line; the rest of a longer one is left out."""


class ImageBuild:
    """One build under way, and its log."""

    def __init__(self) -> None:
        self.jobs = 0
        self.task: asyncio.Task[None] | None = None
        self._lines: deque[LogLine] = deque(maxlen=BUFFERED_LINES)
        self._told = 0
        self._ended = False
        self._news = asyncio.Event()

    def tell(self, text: str) -> None:
        """Add a line."""
        now = utc_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._lines.append(LogLine(stream=STREAM, time=now, text=text[:LONGEST_LINE]))
        self._told += 1
        self._wake()

    def end(self) -> None:
        """Say that nothing more comes."""
        self._ended = True
        self._wake()

    async def result(self) -> None:
        """Wait for the end, and raise what the build raised; leaving early leaves it alone."""
        if self.task is not None:
            await asyncio.shield(self.task)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def last_lines(self) -> str:
        """Return the end of the log."""
        return "\n".join(line.text for line in list(self._lines)[-LAST_LINES:])

    async def follow(self) -> AsyncGenerator[list[LogLine], None]:
        """Give the lines in batches, until the build has ended."""
        read = 0
        while True:
            news = self._news
            if self._told > read:
                missed = min(self._told - read, len(self._lines))
                read = self._told
                yield list(self._lines)[-missed:]
            elif self._ended:
                return
            else:
                await news.wait()


class ImageBuilds:
    """The builds under way.

    Parameters
    ----------
    server_id
        Goes into a label of every image, so that this server removes its own.
    """

    def __init__(self, engine: Engine, server_id: str) -> None:
        self._engine = engine
        self._server_id = server_id
        self._under_way: dict[str, ImageBuild] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def joined(self, spec: JobSpec, build: BuildSpec) -> Iterator[ImageBuild]:
        """Take part in a build, and begin it if nobody has; without any job it is ended."""
        building = self._under_way.get(build.tag)
        if building is None:
            building = self._under_way[build.tag] = ImageBuild()
            self._begin(building, spec, build)
        building.jobs += 1
        try:
            yield building
        finally:
            building.jobs -= 1
            if not building.jobs and building.task is not None and not building.task.done():
                building.task.cancel()
                self._forget(building, build.tag)

    def _begin(self, building: ImageBuild, spec: JobSpec, build: BuildSpec) -> None:
        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._forget(building, build.tag)
            if not task.cancelled():
                # Retrieved, also if every job has left meanwhile.
                task.exception()

        building.task = asyncio.create_task(self._run(building, spec, build))
        self._tasks.add(building.task)
        building.task.add_done_callback(over)

    async def log(self, build: BuildSpec) -> AsyncGenerator[list[LogLine], None]:
        """Give the log of a build until its end; nothing if it is not under way."""
        building = self._under_way.get(build.tag)
        if building is not None:
            async for lines in building.follow():
                yield lines

    def _forget(self, building: ImageBuild, tag: str) -> None:
        if self._under_way.get(tag) is building:
            del self._under_way[tag]

    async def _run(self, building: ImageBuild, spec: JobSpec, build: BuildSpec) -> None:
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
                        building.tell(line)
        except TimeoutError as exc:
            raise ImageNotFound(
                f"The build of the image has not ended after {LONGEST_BUILD:g} s."
            ) from exc
        except EngineUnavailable:
            raise
        except (EngineError, ImageNotFound) as exc:
            said = f"The build of the image failed: {exc.message}\n{building.last_lines()}"
            raise ImageNotFound(said.strip()) from exc
        finally:
            building.end()

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
