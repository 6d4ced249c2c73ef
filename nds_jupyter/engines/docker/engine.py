"""`Engine` over one Docker Engine.

Calls share a bounded pool of threads; streams have threads of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from nds_jupyter.engines.base import (
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
from nds_jupyter.engines.docker import conversion
from nds_jupyter.engines.docker.calls import EngineCalls
from nds_jupyter.engines.docker.conversion import titled
from nds_jupyter.engines.docker.downloads import relay_in_thread
from nds_jupyter.engines.docker.sdk_clients import SdkClients, translated
from nds_jupyter.engines.docker.streams import ACTIONS, StreamOpener, has_ended, reconnecting
from nds_jupyter.engines.docker.thread_streams import StreamSlots, read_in_thread, send_in_thread
from nds_jupyter.errors import ContainerNotFound, EngineError, ImageNotFound
from nds_jupyter.jobs.job import Progress

STOPS = 64
"""Stops under way at one time; each waits for a script that may not listen."""

PATH_STAT = "X-Docker-Container-Path-Stat"
"""The header that says what a path is (Engine API, "Get information about files")."""

UNPACK = 60.0
"""Seconds that the engine gets beside the deadline to answer after the end of a long archive."""


class DockerEngine(EngineCalls):
    """One Docker Engine; nothing talks to it before the first call.

    Parameters
    ----------
    base_url
        ``unix://``, ``tcp://`` or ``ssh://``, or the name of a Docker context; None for
        DOCKER_HOST, else the current context, else the default socket.
    threads
        Calls at one time.
    max_streams
        Logs and archives at one time, and as many samplers beside them.
    deadline
        Seconds for a call.
    certificates
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tcp://``; empty for none.
    """

    _actions: tuple[str, ...] = ACTIONS

    def __init__(
        self,
        base_url: str | None = None,
        *,
        threads: int = 8,
        max_streams: int = 64,
        deadline: float = 30.0,
        certificates: str = "",
    ) -> None:
        super().__init__(SdkClients(base_url, deadline, certificates), threads, deadline)
        self._sources = StreamOpener(self._clients, deadline)
        self._stoppers = ThreadPoolExecutor(STOPS, thread_name_prefix="nds-stop")
        self._streams = StreamSlots(max_streams)
        self._samplers = StreamSlots(max_streams)
        self._watchers = StreamSlots(4)
        self._name: str | None = None

    async def info(self) -> EngineInfo:
        """Ask the engine who it is."""
        data = await self._call("The engine", lambda client: client.info())
        self._name = data["Name"]
        version = await self._call("The engine", lambda client: client._version)
        return EngineInfo(
            name=data["Name"],
            version=data["ServerVersion"],
            api_version=version,
            cpus=data["NCPU"],
            memory=data["MemTotal"],
            disk_free=self._clients.disk_free(data.get("DockerRootDir", "")),
        )

    async def worker(self, container_id: str) -> str:
        """Return the node's name, asked for once: it has every container."""
        del container_id
        return await self._node()

    async def _node(self) -> str:
        return self._name or (await self.info()).name

    async def images(self) -> tuple[Image, ...]:
        """List the images that have a name."""
        rows = await self._call("The images", lambda client: client.images())
        found = map(conversion.image_row, rows)
        return tuple(image for image in found if image.references)

    async def image(self, reference: str) -> Image:
        """Return one image."""
        what = f"The image {reference}"
        data = await self._call(what, lambda client: client.inspect_image(reference), ImageNotFound)
        return conversion.image(data)

    def pull(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Fetch an image from its registry."""
        return read_in_thread(partial(self._sources.pull, reference), "pull", self._streams)

    def build(self, spec: ImageSpec) -> AsyncGenerator[str, None]:
        """Build an image, and give the lines of its log."""
        return read_in_thread(partial(self._sources.build, spec), "build", self._streams)

    async def remove_image(self, reference: str) -> None:
        """Remove an image that no container is made of."""
        with contextlib.suppress(ImageNotFound):
            await self._call(
                f"The image {reference}",
                lambda client: client.remove_image(reference),
                ImageNotFound,
            )

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        if spec.constraints:
            raise EngineError(
                f"No node to choose with constraint {', '.join(spec.constraints)}: this engine is "
                "no Swarm of several nodes."
            )
        data = await self._call(
            f"The container {spec.name}",
            lambda client: client.create_container_from_config(
                conversion.creation(spec), spec.name
            ),
            ImageNotFound,
        )
        return str(data["Id"])

    async def put_archive(
        self, container_id: str, path: str, archive: bytes | AsyncIterable[bytes]
    ) -> None:
        """Unpack a tar archive at a folder of a container."""
        what = f"{path} in container {container_id[:12]}"
        if isinstance(archive, bytes):
            await self._call(what, lambda client: client.put_archive(container_id, path, archive))
            return

        def send(pieces: Iterator[memoryview]) -> None:
            with (
                translated(what),
                contextlib.closing(self._clients.new(self._deadline + UNPACK)) as client,
            ):
                url = client._url("/containers/{0}/archive", container_id)
                client._raise_for_status(client._put(url, params={"path": path}, data=pieces))

        self._streams.take()
        try:
            await send_in_thread(archive, send)
        finally:
            self._streams.give_back()

    async def path_exists(self, container_id: str, path: str) -> bool:
        """Tell whether a path exists in a container."""
        return await self.stat(container_id, path) is not None

    async def stat(self, container_id: str, path: str) -> PathStat | None:
        """Return what a path of a container is; None if there is nothing."""

        def ask(client: Any) -> PathStat | None:
            url = client._url("/containers/{0}/archive", container_id)
            response = client.head(url, params={"path": path}, timeout=client.timeout)
            if response.status_code == 404:
                return None
            client._raise_for_status(response)
            return conversion.path_stat(response.headers[PATH_STAT])

        return await self._call(f"{path} in container {container_id[:12]}", ask)

    async def start(self, container_id: str) -> None:
        """Start a created container."""
        await self._call(titled(container_id), lambda client: client.start(container_id))

    async def inspect(self, container: str) -> Container:
        """Return one container."""
        worker = await self._node()
        path = f"/containers/{quote(container, safe='')}/json"
        data = await self._get(titled(container), path, dict[str, Any])
        return conversion.container(data, worker)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers that carry all these labels."""
        wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
        filters = json.dumps({"label": wanted})
        return await self._listed({"all": str(int(include_ended)), "filters": filters})

    async def _listed(self, params: Mapping[str, str]) -> tuple[ContainerSummary, ...]:
        worker = await self._node()
        # One call: the SDK's own list would inspect every container.
        rows = await self._get(
            "The containers", "/containers/json", list[conversion.EngineContainerRow], params
        )
        return tuple(conversion.summary(row, worker) for row in rows)

    def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log."""
        ended = has_ended(self._clients, container_id) if request.follow else None
        return self._read_log("/containers/{0}/logs", container_id, request, ended)

    def _read_log(
        self, path: str, name: str, request: LogRequest, ended: Callable[[], bool] | None
    ) -> AsyncGenerator[LogChunk, None]:
        source = partial(self._sources.log, path, name, request, ended)
        return read_in_thread(source, "log", self._streams)

    def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a running container about once a second."""
        return read_in_thread(partial(self._sources.stats, container_id), "stats", self._samplers)

    async def diff(self, container_id: str) -> tuple[Change, ...]:
        """List what differs from the image."""
        rows = await self._call(titled(container_id), lambda client: client.diff(container_id))
        found = map(conversion.change, rows or ())
        return tuple(sorted(found, key=lambda change: change.path))

    def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream."""
        source = partial(self._sources.archive, container_id, path)
        return read_in_thread(source, "archive", self._streams)

    async def send_archive(self, container_id: str, path: str, open_sink: OpenSink) -> None:
        """Hand a path's tar stream on from the thread that reads it."""
        source = partial(self._sources.archive, container_id, path)
        await relay_in_thread(source, open_sink, self._streams)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""

        def work() -> None:
            with translated(titled(container_id)):
                client = self._clients.new(grace + self._deadline)
                with contextlib.closing(client):
                    client.stop(container_id, timeout=math.ceil(grace))

        # Not in the pool for calls: it may take an hour, and must not hold them up.
        await asyncio.get_running_loop().run_in_executor(self._stoppers, work)

    async def remove(self, container_id: str) -> None:
        """Remove a container, running or not."""
        try:
            await self._call(
                titled(container_id),
                lambda client: client.remove_container(container_id, force=True, v=True),
            )
        except ContainerNotFound:
            return
        except EngineError as exc:
            if "already in progress" not in exc.message:
                raise

    def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs for ever, reconnecting by itself."""
        return reconnecting(self._connected_events)

    async def _connected_events(self, since: float | None) -> AsyncGenerator[EngineEvent, None]:
        now = datetime.now(UTC)
        await self.info()
        connected = EngineEvent(action="connected", container_id="", job_id="", at=now)
        begins = since or now.timestamp()
        source = partial(self._sources.events, begins, self._actions, connected)
        stream = read_in_thread(source, "events", self._watchers)
        async with contextlib.aclosing(stream):
            async for event in stream:
                yield event

    async def close(self) -> None:
        """Free threads and connections; streams end with who reads them."""
        self._stoppers.shutdown(wait=False, cancel_futures=True)
        await self._end_calls()
