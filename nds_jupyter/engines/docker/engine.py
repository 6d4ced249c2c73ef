"""`Engine` over one Docker Engine.

Reads that are small and frequent go over HTTP on the event loop (`http`); other calls are made by
the Docker SDK in a bounded pool of threads; streams have threads of their own (`thread_streams`).
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
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

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
from nds_jupyter.engines.docker import json_conversion
from nds_jupyter.engines.docker.http import EngineHttpClient
from nds_jupyter.engines.docker.json_conversion import container_title
from nds_jupyter.engines.docker.sdk_clients import SdkClients
from nds_jupyter.engines.docker.sdk_errors import translate_errors
from nds_jupyter.engines.docker.streams import (
    EVENT_ACTIONS,
    EngineStreams,
    container_end_check,
    events_with_reconnect,
)
from nds_jupyter.engines.docker.thread_streams import (
    StreamSlots,
    read_in_thread,
    relay_in_thread,
    send_in_thread,
)
from nds_jupyter.errors import ContainerNotFound, EngineError, ImageNotFound, NdsError
from nds_jupyter.jobs.job import Progress

T = TypeVar("T")

MAX_STOPS = 64
"""Stops under way at one time; each waits for a script that may not listen."""

PATH_STAT = "X-Docker-Container-Path-Stat"
"""The header that describes a path (Engine API, "Get information about files")."""

UNPACK_SECONDS = 60.0
"""Seconds that the engine gets beside the deadline to answer after the end of a long archive."""


class DockerEngine:
    """One Docker Engine; nothing talks to it before the first call.

    Parameters
    ----------
    base_url
        ``unix://``, ``tcp://`` or ``ssh://``, or the name of a Docker context; None for
        DOCKER_HOST, else the current context, else the default socket.
    threads
        Calls at one time.
    max_streams
        Logs and archives at one time, and as many streams of samples beside them.
    deadline
        Seconds for a call.
    certificates
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tcp://``; empty for none.
    """

    _event_actions: tuple[str, ...] = EVENT_ACTIONS

    def __init__(
        self,
        base_url: str | None = None,
        *,
        threads: int = 8,
        max_streams: int = 64,
        deadline: float = 30.0,
        certificates: str = "",
    ) -> None:
        self._deadline = deadline
        self._clients = SdkClients(base_url, deadline, certificates)
        self._http = EngineHttpClient(self._clients, deadline)
        self._call_pool = ThreadPoolExecutor(threads, thread_name_prefix="nds-engine")
        self._stop_pool = ThreadPoolExecutor(MAX_STOPS, thread_name_prefix="nds-stop")
        self._streams = EngineStreams(self._clients, deadline)
        self._stream_slots = StreamSlots(max_streams)
        self._stats_slots = StreamSlots(max_streams)
        self._event_slots = StreamSlots(4)
        self._node_name: str | None = None

    async def _call(
        self, what: str, call: Callable[[Any], T], missing: type[NdsError] = ContainerNotFound
    ) -> T:
        """Call the SDK in a thread.

        Parameters
        ----------
        what
            The thing, as a sentence begins.
        missing
            What a 404 means here.
        """

        def work() -> T:
            with translate_errors(what, missing):
                return call(self._clients.thread_client())

        return await asyncio.get_running_loop().run_in_executor(self._call_pool, work)

    async def _get(
        self, what: str, path: str, answer: type[T], params: Mapping[str, str] | None = None
    ) -> T:
        """Get something on the event loop where possible, else by the SDK.

        Parameters
        ----------
        what
            The thing, as a sentence begins.
        path
            Of the Engine API, without its version.
        answer
            What is read of the answer; the rest is skipped.
        """
        query = params or {}
        with translate_errors(what):
            content = await self._http.get(path, query)
        if content is None:
            content = await self._call(what, lambda client: _get_by_sdk(client, path, query))
        return msgspec.json.decode(content, type=answer)

    async def info(self) -> EngineInfo:
        """Describe the engine."""
        data = await self._call("The engine", lambda client: client.info())
        self._node_name = data["Name"]
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
        """Return the name of the only node, fetched once: it has every container."""
        del container_id
        return await self._get_node_name()

    async def _get_node_name(self) -> str:
        return self._node_name or (await self.info()).name

    async def images(self) -> tuple[Image, ...]:
        """List the images that have a name."""
        rows = await self._call("The images", lambda client: client.images())
        found = map(json_conversion.parse_image_row, rows)
        return tuple(image for image in found if image.references)

    async def image(self, reference: str) -> Image:
        """Return one image."""
        what = f"The image {reference}"
        data = await self._call(what, lambda client: client.inspect_image(reference), ImageNotFound)
        return json_conversion.parse_image(data)

    def pull(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Fetch an image from its registry."""
        return read_in_thread(partial(self._streams.pull, reference), "pull", self._stream_slots)

    def build(self, spec: ImageSpec) -> AsyncGenerator[str, None]:
        """Build an image, and give the lines of its log."""
        return read_in_thread(partial(self._streams.build, spec), "build", self._stream_slots)

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
                json_conversion.create_body(spec), spec.name
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

        def send(chunks: Iterator[memoryview]) -> None:
            with (
                translate_errors(what),
                contextlib.closing(self._clients.new(self._deadline + UNPACK_SECONDS)) as client,
            ):
                url = client._url("/containers/{0}/archive", container_id)
                client._raise_for_status(client._put(url, params={"path": path}, data=chunks))

        self._stream_slots.acquire()
        try:
            await send_in_thread(archive, send)
        finally:
            self._stream_slots.release()

    async def path_exists(self, container_id: str, path: str) -> bool:
        """Tell whether a path exists in a container."""
        return await self.stat(container_id, path) is not None

    async def stat(self, container_id: str, path: str) -> PathStat | None:
        """Return what a path of a container is; None if there is nothing."""

        def request(client: Any) -> PathStat | None:
            url = client._url("/containers/{0}/archive", container_id)
            response = client.head(url, params={"path": path}, timeout=client.timeout)
            if response.status_code == 404:
                return None
            client._raise_for_status(response)
            return json_conversion.parse_path_stat(response.headers[PATH_STAT])

        return await self._call(f"{path} in container {container_id[:12]}", request)

    async def start(self, container_id: str) -> None:
        """Start a created container."""
        await self._call(container_title(container_id), lambda client: client.start(container_id))

    async def inspect(self, container: str) -> Container:
        """Return one container."""
        worker = await self._get_node_name()
        path = f"/containers/{quote(container, safe='')}/json"
        data = await self._get(container_title(container), path, dict[str, Any])
        return json_conversion.parse_container(data, worker)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers that carry all these labels."""
        label = [f"{name}={value}" if value else name for name, value in labels.items()]
        filters = json.dumps({"label": label})
        return await self._list_containers({"all": str(int(include_ended)), "filters": filters})

    async def _list_containers(self, params: Mapping[str, str]) -> tuple[ContainerSummary, ...]:
        worker = await self._get_node_name()
        # One call: the SDK's own list would inspect every container.
        rows = await self._get(
            "The containers", "/containers/json", list[json_conversion.EngineContainerRow], params
        )
        return tuple(json_conversion.to_summary(row, worker) for row in rows)

    def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log."""
        has_ended = container_end_check(self._clients, container_id) if request.follow else None
        return self._read_log("/containers/{0}/logs", container_id, request, has_ended)

    def _read_log(
        self, path: str, name: str, request: LogRequest, has_ended: Callable[[], bool] | None
    ) -> AsyncGenerator[LogChunk, None]:
        open_stream = partial(self._streams.log, path, name, request, has_ended)
        return read_in_thread(open_stream, "log", self._stream_slots)

    def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a running container about once a second."""
        return read_in_thread(
            partial(self._streams.stats, container_id), "stats", self._stats_slots
        )

    async def diff(self, container_id: str) -> tuple[Change, ...]:
        """List what differs from the image."""
        rows = await self._call(
            container_title(container_id), lambda client: client.diff(container_id)
        )
        found = map(json_conversion.parse_change, rows or ())
        return tuple(sorted(found, key=lambda change: change.path))

    def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream."""
        open_stream = partial(self._streams.archive, container_id, path)
        return read_in_thread(open_stream, "archive", self._stream_slots)

    async def send_archive(self, container_id: str, path: str, open_sink: OpenSink) -> None:
        """Write a path's tar stream to a sink, from the thread that reads it."""
        open_stream = partial(self._streams.archive, container_id, path)
        await relay_in_thread(open_stream, open_sink, self._stream_slots)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""

        def work() -> None:
            with translate_errors(container_title(container_id)):
                client = self._clients.new(grace + self._deadline)
                with contextlib.closing(client):
                    client.stop(container_id, timeout=math.ceil(grace))

        # Not in the pool for calls: it may take an hour, and must not hold them up.
        await asyncio.get_running_loop().run_in_executor(self._stop_pool, work)

    async def remove(self, container_id: str) -> None:
        """Remove a container, running or not."""
        try:
            await self._call(
                container_title(container_id),
                lambda client: client.remove_container(container_id, force=True, v=True),
            )
        except ContainerNotFound:
            return
        except EngineError as exc:
            if "already in progress" not in exc.message:
                raise

    def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs for ever, reconnecting by itself."""
        return events_with_reconnect(self._connect_events)

    async def _connect_events(self, since: float | None) -> AsyncGenerator[EngineEvent, None]:
        now = datetime.now(UTC)
        await self.info()
        connected = EngineEvent(action="connected", container_id="", job_id="", at=now)
        begins = since or now.timestamp()
        open_stream = partial(self._streams.events, begins, self._event_actions, connected)
        stream = read_in_thread(open_stream, "events", self._event_slots)
        async with contextlib.aclosing(stream):
            async for event in stream:
                yield event

    async def close(self) -> None:
        """Free threads and connections; streams end with who reads them."""
        self._stop_pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()
        await asyncio.to_thread(self._call_pool.shutdown, wait=True, cancel_futures=True)
        self._clients.close()


def _get_by_sdk(client: Any, path: str, params: Mapping[str, str]) -> bytes:
    response = client._get(client._url(path), params=params)
    client._raise_for_status(response)
    return bytes(response.content)
