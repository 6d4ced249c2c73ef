"""`Engine` over a Docker Swarm: its manager places jobs, the nodes' engines do the rest.

A job's container is the one task of a service of the job's name. `create` returns when a node has
made it: it runs then, but only the starter, which waits (`services`); `start` releases the script.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from functools import partial

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
from nds_jupyter.engines.cluster import FindJobPhases, NodeReport, StagerSpec
from nds_jupyter.engines.swarm.container_inspection import (
    ContainerInspection,
    TaskListCache,
    list_containers,
)
from nds_jupyter.engines.swarm.container_logs import ContainerLogs
from nds_jupyter.engines.swarm.image_lookup import ImageLookup
from nds_jupyter.engines.swarm.node_cache import CachedNodeEngine
from nds_jupyter.engines.swarm.node_events import StartedContainers, merged_events
from nds_jupyter.engines.swarm.nodes import Nodes, report_nodes
from nds_jupyter.engines.swarm.placement import Placement, TaskWatch
from nds_jupyter.engines.swarm.script_start import ScriptConfigs, ScriptStarter, StdinTransfer
from nds_jupyter.engines.swarm.service_removal import LeftoverCleanup, ServiceRemoval
from nds_jupyter.engines.swarm.stager_containers import StagerContainers
from nds_jupyter.engines.swarm.task_locations import TaskLocations
from nds_jupyter.engines.swarm.tasks import NodeState
from nds_jupyter.errors import (
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NoEndpoint,
)
from nds_jupyter.jobs.job import Progress

MAX_CONTAINERS_PER_CPU = 16
"""Containers that are worth creating for each CPU: the rest waits here as well as there."""


class SwarmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a Swarm.

    Parameters
    ----------
    endpoints
        The nodes' engines: URLs, or names of Docker contexts.
    certificates
        Folder of ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tcp://`` endpoints; empty for none.
    constraints
        What every job's node must fulfil.
    gpu_resource
        What the nodes call a GPU in their ``node-generic-resources``.
    node_deadline
        Seconds after which a silent node is left out of an answer about all nodes.
    lost_after
        Seconds for which a node may be down before what ran there is given up.
    """

    endpoints: tuple[str, ...] = ()
    certificates: str = ""
    constraints: tuple[str, ...] = ()
    gpu_resource: str = "gpu"
    node_deadline: float = 3.0
    lost_after: float = 30.0


class SwarmEngine:
    """A Swarm; nothing talks to it before the first call.

    Parameters
    ----------
    base_url
        An engine of the Swarm beside `settings.endpoints`; None for DOCKER_HOST, else the current
        Docker context, else the default socket.
    threads, max_streams, deadline
        For each node, as for `DockerEngine`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        settings: SwarmSettings | None = None,
        *,
        threads: int = 8,
        max_streams: int = 64,
        deadline: float = 30.0,
    ) -> None:
        settings = settings or SwarmSettings()
        first = () if base_url is None and settings.endpoints else (base_url,)
        create_engine = partial(
            CachedNodeEngine,
            threads=threads,
            max_streams=max_streams,
            deadline=deadline,
            certificates=settings.certificates,
        )
        endpoints = (*first, *settings.endpoints)
        self._nodes = Nodes(tuple(map(create_engine, endpoints)), settings.node_deadline)
        self._locations = TaskLocations(self._nodes)
        self._task_lists = TaskListCache(self._nodes)
        self._started_containers = StartedContainers(self._task_lists.clear)
        self._task_watch = TaskWatch(self._nodes, self._started_containers)
        self._images = ImageLookup(self._nodes)
        self._script_configs = ScriptConfigs(self._nodes, self._locations)
        self._inspection = ContainerInspection(
            self._nodes, self._locations, self._script_configs.list_files, settings.lost_after
        )
        self._placement = Placement(
            self._nodes,
            self._locations,
            self._task_watch,
            self._inspection,
            self._task_lists,
            constraints=settings.constraints,
            gpu_resource=settings.gpu_resource,
        )
        self._stagers = StagerContainers(self._nodes, self._locations)
        self._stdin_transfer = StdinTransfer()
        self._logs = ContainerLogs(self._nodes, self._locations)
        self._removal = ServiceRemoval(
            self._nodes,
            self._locations,
            self._task_lists,
            self._placement,
            self._inspection,
            self._script_configs,
            self._stdin_transfer,
            self._logs,
        )
        self._cleanup = LeftoverCleanup(self._nodes, self._stagers, self.remove)
        self._script_starter = ScriptStarter(
            self._nodes,
            self._locations,
            self._task_watch,
            self._started_containers,
            self._inspection,
            self._script_configs,
            self._stdin_transfer,
        )

    async def info(self) -> EngineInfo:
        """Describe the Swarm by a manager, with what its nodes have together."""
        info = await self._nodes.call_manager(lambda manager: manager.info())
        ready = [
            node
            for node in (await self._nodes.nodes_by_id()).values()
            if node.active and node.state is NodeState.READY
        ]
        cpus = int(sum(node.cpus for node in ready))
        return EngineInfo(
            name=f"Swarm of {len(ready)} nodes",
            version=info.version,
            api_version=info.api_version,
            cpus=cpus,
            memory=sum(node.memory for node in ready),
            max_containers=max(1, MAX_CONTAINERS_PER_CPU * cpus),
            builds_images=False,
            runs_stagers=True,
        )

    async def nodes(self) -> tuple[NodeReport, ...]:
        """Check every node, none longer than its deadline."""
        return report_nodes(await self._nodes.take_snapshot())

    async def images(self) -> tuple[Image, ...]:
        """List the images that any node has."""
        return await self._images.list_images()

    async def image(self, reference: str) -> Image:
        """Return an image that a node has, or that a registry was found to have."""
        return await self._images.find(reference)

    def pull(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Make sure that a registry has the image: the node that needs it will fetch it."""
        return self._images.find_in_registry(reference)

    async def build(self, spec: ImageSpec) -> AsyncGenerator[str, None]:
        """Refuse: an image that one node has built, no other node has."""
        for _ in ():
            yield ""
        raise ImageNotFound(
            f"{spec.reference}: a Swarm of several nodes builds no images. Build it, push it to a "
            "registry that every node reaches, and name it as the image."
        )

    async def remove_image(self, reference: str) -> None:
        """Refuse: nothing is built here."""
        raise EngineError(f"{reference}: images are removed on the nodes of a Swarm themselves.")

    async def create(self, spec: ContainerSpec) -> str:
        """Create a service and return the container that a node made for it."""
        container_id = await self._placement.create(spec)
        if self._images.runs_as_root(spec.image):
            self._stdin_transfer.add(container_id, spec.image)
        return container_id

    async def put_archive(
        self, container_id: str, path: str, archive: bytes | AsyncIterable[bytes]
    ) -> None:
        """Unpack a tar archive at a folder of a container, or store it until the script starts."""
        location = await self._locations.find(container_id)
        if isinstance(archive, bytes) and await self._nodes.find_engine(location.node_id) is None:
            await self._script_configs.store(location, path, archive)
            return
        engine = await self._locations.engine_at(location)
        if isinstance(archive, bytes) and await self._stdin_transfer.send_files(
            engine, location.container_id, path, archive
        ):
            return
        await engine.put_archive(location.container_id, path, archive)

    async def path_exists(self, container_id: str, path: str) -> bool:
        """Tell whether a path exists in a container."""
        return await self.stat(container_id, path) is not None

    async def stat(self, container_id: str, path: str) -> PathStat | None:
        """Return what a path of a container is; None if there is nothing."""
        engine, found_id = await self._locations.find_engine(container_id)
        return await engine.stat(found_id, path)

    async def start(self, container_id: str) -> str | None:
        """Release the script, which may be in another container then."""
        return await self._script_starter.start(container_id)

    def run_stager(self, container_id: str, spec: StagerSpec) -> AsyncGenerator[str, None]:
        """Run a stager beside a container, on its node."""
        return self._stagers.run(container_id, spec)

    async def remove_leftovers(self, server: str, find_phases: FindJobPhases) -> int:
        """Remove services, configs, secrets, networks and volumes that no job needs."""
        return await self._cleanup.run(server, find_phases)

    async def worker(self, container_id: str) -> str:
        """Return the name of the node that has a container."""
        return await self._nodes.node_name((await self._locations.find(container_id)).node_id)

    async def inspect(self, container: str) -> Container:
        """Return one container by its id, unique prefix of the id, or name."""
        return await self._inspection.inspect(container)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers of all nodes that carry all these labels."""
        rows = await list_containers(
            self._nodes, self._task_lists, self._locations, labels, include_ended=include_ended
        )
        return self._inspection.show_waiting_as_created(rows, include_ended=include_ended)

    def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log: from the node, through the manager, or from the archive."""
        return self._logs.read(container_id, request)

    async def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a running container about once a second."""
        engine, found_id = await self._locations.find_engine(container_id)
        async with contextlib.aclosing(engine.stats(found_id)) as samples:
            async for sample in samples:
                yield sample

    async def diff(self, container_id: str) -> tuple[Change, ...]:
        """List what differs from the image."""
        engine, found_id = await self._locations.find_engine(container_id)
        return await engine.diff(found_id)

    async def send_archive(self, container_id: str, path: str, open_sink: OpenSink) -> None:
        """Write a path's tar stream to a sink."""
        engine, found_id = await self._locations.find_engine(container_id)
        await engine.send_archive(found_id, path, open_sink)

    async def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream; `NodeLost` if its node will not be back soon."""
        location = await self._locations.find(container_id)
        engine = await self._locations.engine_at(location)
        try:
            async with contextlib.aclosing(engine.archive(location.container_id, path)) as parts:
                async for part in parts:
                    yield part
        except (EngineUnavailable, DeadlineExceeded):
            await self._inspection.refuse_lost_files(location)
            raise

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        location = await self._locations.find(container_id)
        try:
            engine = await self._locations.engine_at(location)
        except NoEndpoint:
            # The manager can end a task only by removing it.
            await self._logs.archive(location)
            await self._removal.remove_at(location)
            return
        await engine.stop(location.container_id, grace)

    async def remove(self, container_id: str) -> None:
        """Remove a container's service, or a service that has no container yet, by its name."""
        await self._removal.remove(container_id)

    def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs on all nodes, and the nodes themselves."""
        return merged_events(self._nodes, self._started_containers)

    async def close(self) -> None:
        """End every stream and free threads and connections."""
        await self._removal.close()
        await self._task_watch.close()
        await asyncio.gather(*(engine.close() for engine in self._nodes.endpoints))
