"""An engine in memory, for tests: keeps to the `Engine` protocol, and fails when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime

from nds_jupyter.engines.base import (
    LABEL_JOB,
    Change,
    Container,
    ContainerSpec,
    ContainerSummary,
    EngineEvent,
    EngineInfo,
    Image,
    ImageSpec,
    LogChunk,
    LogRequest,
    OpenSink,
    PathStat,
    Sample,
)
from nds_jupyter.errors import AmbiguousId, ContainerNotFound, EngineError, ImageNotFound, NameTaken
from nds_jupyter.jobs import Progress, utc_now
from tests.engine.fake_container import KILLED, TERMINATED, FakeContainer
from tests.engine.faults import Faults

SHELL = "nds/shell:test"
PYTHON = "nds/python:3.11"
NODE = "fake-node"
PIECE = 64 * 1024
_CREATED = datetime(2024, 1, 1, tzinfo=UTC)
_PROGRAMS = {
    SHELL: ("/bin/sh", "/bin/tail", "/etc/passwd"),
    PYTHON: ("/bin/sh", "/usr/bin/python3"),
}


class FakeEngine:
    """One engine.

    Parameters
    ----------
    sleep
        How scripts sleep; a test may give one that ends when it likes.

    Attributes
    ----------
    faults
        What is wrong with it.
    registry
        Images that can be pulled: the progress that a pull reports, by reference.
    builds
        What was asked to be built, in order.
    hold_pulls
        Cleared, a pull or a build stops before its end.
    containers_by_id
        Everything that was created and not removed.
    runs
        How often the script of each container name was started, over all time.
    open_streams
        Logs, archives, stats and pulls that somebody reads.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self.faults = Faults(deadline=5.0)
        self.cpus = 2
        self.files = {name: dict.fromkeys(paths, b"\x7fELF") for name, paths in _PROGRAMS.items()}
        self.registry: dict[str, tuple[Progress, ...]] = {}
        self.can_build = True
        self.builds: list[ImageSpec] = []
        self.labels: dict[str, dict[str, str]] = {}
        self.hold_pulls = asyncio.Event()
        self.hold_pulls.set()
        self.containers_by_id: dict[str, FakeContainer] = {}
        self.runs: dict[str, int] = {}
        self.open_streams = 0
        self._events: list[EngineEvent] = []
        self._news = asyncio.Event()
        self.closed = False

    def restart(self) -> None:
        """Go down and forget the events; what ran is killed, as without live-restore."""
        self.faults.go_down()
        for container in self.containers_by_id.values():
            container.end(KILLED)
        self._events.clear()
        self._wake()

    def named(self, name: str) -> FakeContainer | None:
        """Return the container of a name."""
        found = (each for each in self.containers_by_id.values() if each.spec.name == name)
        return next(found, None)

    def _emit(self, action: str, container: FakeContainer, exit_code: int | None = None) -> None:
        job_id = container.spec.labels.get(LABEL_JOB)
        if job_id is not None:
            event = EngineEvent(
                action=action,
                container_id=container.id,
                job_id=job_id,
                at=utc_now(),
                exit_code=exit_code,
            )
            self._events.append(event)
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _died(self, container: FakeContainer) -> None:
        self._emit("die", container, container.exit_code)

    async def info(self) -> EngineInfo:
        """Say who it is."""
        async with self.faults.call("info"):
            return EngineInfo(
                name=NODE,
                version="0.fake",
                api_version="1.41",
                cpus=self.cpus,
                memory=2**33,
                builds=self.can_build,
            )

    async def images(self) -> tuple[Image, ...]:
        """List the images."""
        async with self.faults.call("images"):
            return tuple(map(self._image, sorted(self.files)))

    def _image(self, reference: str) -> Image:
        return Image(
            id=f"sha256:{reference.encode().hex():0<64.64}",
            references=(reference,),
            size=sum(map(len, self.files[reference].values())),
            created=_CREATED,
            path=("/usr/bin", "/bin"),
            labels=self.labels.get(reference, {}),
        )

    async def image(self, reference: str) -> Image:
        """Return one image."""
        async with self.faults.call("image"):
            if reference not in self.files:
                raise ImageNotFound(f"The image {reference}: the engine does not have it.")
            return self._image(reference)

    async def pull(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Fetch an image from the registry in memory."""
        with self._stream():
            async with self.faults.call("pull"):
                if reference not in self.registry:
                    raise ImageNotFound(f"No registry has the image {reference}.")
                self.faults.need_room(f"The image {reference}")
            for progress in self.registry[reference]:
                yield progress
                await self.faults.reach()
            await self.hold_pulls.wait()
            await self.faults.reach()
            self.files[reference] = dict(self.files[SHELL])

    async def build(self, spec: ImageSpec) -> AsyncGenerator[str, None]:
        """Build an image: its files are those of its base, and `RUN exit 1` fails."""
        with self._stream():
            async with self.faults.call("build"):
                self.builds.append(spec)
            lines = spec.dockerfile.splitlines()
            for number, line in enumerate(lines, 1):
                yield f"Step {number}/{len(lines)} : {line}"
                await self.faults.reach()
                if line == "RUN exit 1":
                    raise ImageNotFound("The command '/bin/sh -c exit 1' returned code 1")
            await self.hold_pulls.wait()
            await self.faults.reach()
            self.files[spec.reference] = dict(self.files[lines[0].split()[1]])
            self.labels[spec.reference] = spec.labels

    async def remove_image(self, reference: str) -> None:
        """Remove an image that no container is made of."""
        async with self.faults.call("remove_image"):
            if any(each.spec.image == reference for each in self.containers_by_id.values()):
                raise EngineError(f"The image {reference} is in use.")
            self.files.pop(reference, None)

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        async with self.faults.call("create"):
            if spec.image not in self.files:
                raise ImageNotFound(f"The image {spec.image}: the engine does not have it.")
            if self.named(spec.name) is not None:
                raise NameTaken(f"The container {spec.name} exists already.")
            self.faults.need_room(f"The container {spec.name}")
            container_id = secrets.token_hex(32)
            image = self._image(spec.image)
            self.containers_by_id[container_id] = FakeContainer(
                container_id, spec, image.id, self.files[spec.image], self._died
            )
            return container_id

    async def put_archive(
        self, container_id: str, path: str, archive: bytes | AsyncIterable[bytes]
    ) -> None:
        """Unpack a tar archive."""
        async with self.faults.call("put_archive"):
            container = self._find(container_id)
            self.faults.need_room(f"{path} in container {container_id[:12]}")
            if not isinstance(archive, bytes):
                archive = b"".join([part async for part in archive])
            container.unpack(path, archive)

    async def path_exists(self, container_id: str, path: str) -> bool:
        """Tell whether a path exists."""
        async with self.faults.call("path_exists"):
            return self._find(container_id).exists(path)

    async def stat(self, container_id: str, path: str) -> PathStat | None:
        """Return what a path is."""
        async with self.faults.call("stat"):
            container = self._find(container_id)
            if not container.exists(path):
                return None
            content = container.files.get(path)
            return PathStat(
                kind="dir" if content is None else "file",
                size=len(content or b""),
                modified=container.created,
            )

    async def start(self, container_id: str) -> None:
        """Start a container; also one that has ended, as a real engine does."""
        async with self.faults.call("start"):
            container = self._find(container_id)
            if container.running:
                return
            self.runs[container.spec.name] = self.runs.get(container.spec.name, 0) + 1
            container.start(self._sleep)
            self._emit("start", container)

    async def worker(self, container_id: str) -> str:
        """Return the one node's name."""
        async with self.faults.call("worker"):
            return NODE

    def _find(self, name: str) -> FakeContainer:
        exact = self.containers_by_id.get(name) or self.named(name)
        if exact is not None:
            return exact
        found = [each for key, each in self.containers_by_id.items() if key.startswith(name)]
        if len(found) > 1:
            raise AmbiguousId(f"The container {name}: several containers have this prefix.")
        if not found:
            raise ContainerNotFound(f"The container {name} does not exist.")
        return found[0]

    async def inspect(self, container: str) -> Container:
        """Return one container."""
        async with self.faults.call("inspect"):
            return self._find(container).describe(NODE)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List containers by their labels."""
        async with self.faults.call("containers"):
            return tuple(
                each.summarize(NODE)
                for each in self.containers_by_id.values()
                if include_ended or each.running
                if all(each.has_label(name, value) for name, value in labels.items())
            )

    async def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log."""
        with self._stream():
            async with self.faults.call("logs"):
                container = self._find(container_id)
            skip = 0
            while True:
                ended = not container.running
                chunks, skip = container.chosen_log(request, skip), len(container.log)
                for chunk in chunks:
                    yield chunk
                    self.faults.raise_if_down()
                if not request.follow or (ended and skip == len(container.log)):
                    return
                async with container.news:
                    await container.news.wait_for(
                        lambda: not container.running or len(container.log) > skip  # noqa: B023
                    )

    async def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a container while it runs."""
        with self._stream():
            async with self.faults.call("stats"):
                container = self._find(container_id)
            while container.running:
                yield container.sample()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1), container.news:
                        await container.news.wait_for(lambda: not container.running)

    async def diff(self, container_id: str) -> tuple[Change, ...]:
        """List what differs from the image."""
        async with self.faults.call("diff"):
            return self._find(container_id).changes()

    async def send_archive(self, container_id: str, path: str, open_sink: OpenSink) -> None:
        """Write a path's tar stream to a sink."""
        async with contextlib.aclosing(self.archive(container_id, path)) as parts:
            first = await anext(parts)
            sink = await open_sink()
            try:
                await asyncio.to_thread(sink.send, [first])
                async for part in parts:
                    await asyncio.to_thread(sink.send, [part])
            finally:
                sink.close()

    async def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream."""
        with self._stream():
            async with self.faults.call("archive"):
                data = self._find(container_id).pack(path)
            for start in range(0, len(data), PIECE):
                yield data[start : start + PIECE]
                self.faults.raise_if_down()

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        async with self.faults.call("stop"):
            container = self._find(container_id)
            if not container.deaf:
                container.end(TERMINATED)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace), container.news:
                    await container.news.wait_for(lambda: not container.running)
            container.end(KILLED)

    async def remove(self, container_id: str) -> None:
        """Remove a container."""
        async with self.faults.call("remove"):
            try:
                container = self._find(container_id)
            except ContainerNotFound:
                return
            container.end(KILLED)
            del self.containers_by_id[container.id]
            self._emit("destroy", container)

    async def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs; after `restart` what happened meanwhile is lost."""
        seen = len(self._events)
        while True:
            await self.faults.up.wait()
            await self.faults.awake.wait()
            yield EngineEvent(action="connected", container_id="", job_id="", at=utc_now())
            while self.faults.up.is_set():
                news = self._news
                seen = min(seen, len(self._events))
                for event in self._events[seen:]:
                    seen += 1
                    yield event
                if news is self._news:
                    await news.wait()

    @contextlib.contextmanager
    def _stream(self) -> Iterator[None]:
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1

    async def close(self) -> None:
        """Let go of what still runs, and remember that it was closed."""
        for container in self.containers_by_id.values():
            container.end(KILLED)
        self.closed = True
