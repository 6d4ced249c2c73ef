"""Engine in memory for tests: keeps to the `Engine` protocol, and fails when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping

from nds_jupyter.engines.base import (
    Change,
    Container,
    ContainerSpec,
    ContainerSummary,
    EngineEvent,
    EngineInfo,
    LogChunk,
    LogRequest,
    OpenSink,
    PathStat,
    Sample,
)
from nds_jupyter.errors import AmbiguousId, ContainerNotFound, ImageNotFound, NameTaken
from tests.engine.fake_container import KILLED, TERMINATED, FakeContainer
from tests.engine.fake_events import FakeEvents
from tests.engine.fake_images import FakeImages

NODE = "fake-node"
CHUNK = 64 * 1024


class FakeEngine(FakeImages):
    """Fake engine with its containers, images and faults.

    Parameters
    ----------
    sleep
        How scripts sleep; a test may give one that ends when it likes.

    Attributes
    ----------
    containers_by_id
        Everything that was created and not removed.
    runs
        How often the script of each container name was started, over all time.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        super().__init__()
        self._sleep = sleep
        self.cpus = 2
        self.containers_by_id: dict[str, FakeContainer] = {}
        self.runs: dict[str, int] = {}
        self._events = FakeEvents(self.faults)
        self.closed = False

    def restart(self) -> None:
        """Go down and forget the events; what ran is killed, as without live-restore."""
        self.faults.go_down()
        for container in self.containers_by_id.values():
            container.end(KILLED)
        self._events.clear()

    def named(self, name: str) -> FakeContainer | None:
        """Return the container of a name."""
        found = (each for each in self.containers_by_id.values() if each.spec.name == name)
        return next(found, None)

    def is_used(self, reference: str) -> bool:
        """Tell whether a container is made of an image."""
        return any(each.spec.image == reference for each in self.containers_by_id.values())

    def _died(self, container: FakeContainer) -> None:
        self._events.add("die", container, container.exit_code)

    async def info(self) -> EngineInfo:
        """Describe the engine."""
        async with self.faults.call("info"):
            return EngineInfo(
                name=NODE,
                version="0.fake",
                api_version="1.41",
                cpus=self.cpus,
                memory=2**33,
                builds_images=self.can_build,
            )

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        async with self.faults.call("create"):
            if spec.image not in self.files:
                raise ImageNotFound(f"The image {spec.image}: the engine does not have it.")
            if self.named(spec.name) is not None:
                raise NameTaken(f"The container {spec.name} exists already.")
            self.faults.check_disk(f"The container {spec.name}")
            container_id = secrets.token_hex(32)
            image = self.named_image(spec.image)
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
            self.faults.check_disk(f"{path} in container {container_id[:12]}")
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
            self._events.add("start", container)

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
        with self.stream():
            async with self.faults.call("logs"):
                container = self._find(container_id)
            skip = 0
            while True:
                ended = not container.running
                chunks, skip = container.select_log(request, skip), len(container.log)
                for chunk in chunks:
                    yield chunk
                    self.faults.raise_if_down()
                if not request.follow or (ended and skip == len(container.log)):
                    return
                async with container.changed:
                    await container.changed.wait_for(
                        lambda: not container.running or len(container.log) > skip  # noqa: B023
                    )

    async def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a container while it runs."""
        with self.stream():
            async with self.faults.call("stats"):
                container = self._find(container_id)
            while container.running:
                yield container.sample()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1), container.changed:
                        await container.changed.wait_for(lambda: not container.running)

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
        with self.stream():
            async with self.faults.call("archive"):
                data = self._find(container_id).pack(path)
            for start in range(0, len(data), CHUNK):
                yield data[start : start + CHUNK]
                self.faults.raise_if_down()

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        async with self.faults.call("stop"):
            container = self._find(container_id)
            if not container.ignores_term:
                container.end(TERMINATED)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace), container.changed:
                    await container.changed.wait_for(lambda: not container.running)
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
            self._events.add("destroy", container)

    def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs; after `restart` what happened meanwhile is lost."""
        return self._events.watch()

    async def close(self) -> None:
        """End what still runs, and record that it was closed."""
        for container in self.containers_by_id.values():
            container.end(KILLED)
        self.closed = True
