"""`Engine` over a Docker Swarm: its manager places jobs, the nodes' engines do the rest.

A job's container is the one task of a service of the job's name. `create` returns when a node has
made it: it runs then, but only the starter, which waits (`starter.py`); `start` lets it go.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Mapping

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
from nds_jupyter.engines.cluster import Fates, NodeReport, StagerSpec
from nds_jupyter.engines.swarm.cleanup import LeftoverCleanup, ServiceRemoval
from nds_jupyter.engines.swarm.container_reads import ContainerInspection, ContainerReads
from nds_jupyter.engines.swarm.listing import SwarmImages, list_containers, list_images
from nds_jupyter.engines.swarm.log_archive import LogArchive
from nds_jupyter.engines.swarm.node_cache import CachedNodeEngine
from nds_jupyter.engines.swarm.node_events import StartedContainers, merged_events
from nds_jupyter.engines.swarm.nodes import Nodes, node_reports
from nds_jupyter.engines.swarm.placement import Placement
from nds_jupyter.engines.swarm.script_configs import ScriptConfigs
from nds_jupyter.engines.swarm.script_start import StartSignal, StdinTransfer
from nds_jupyter.engines.swarm.settings import SwarmSettings
from nds_jupyter.engines.swarm.stager_containers import StagerContainers
from nds_jupyter.engines.swarm.task_locations import TaskLocations
from nds_jupyter.engines.swarm.task_watch import TaskCache, TaskWatch
from nds_jupyter.engines.swarm.tasks import NodeState
from nds_jupyter.errors import EngineError, ImageNotFound, NoEndpoint
from nds_jupyter.jobs.job import Progress

AT_ONCE_PER_CPU = 16
"""Jobs that are worth handing over for each CPU: the rest waits here as well as there."""


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
        self._settings = settings = settings or SwarmSettings()
        first = () if base_url is None and settings.endpoints else (base_url,)
        engines = tuple(
            CachedNodeEngine(
                text,
                threads=threads,
                max_streams=max_streams,
                deadline=deadline,
                certificates=settings.certificates,
            )
            for text in (*first, *settings.endpoints)
        )
        self._nodes = Nodes(engines, settings.node_deadline)
        self._where = TaskLocations(self._nodes)
        self._tasks = TaskCache(self._nodes)
        self._arrivals = StartedContainers(self._tasks.changed)
        self._watch = TaskWatch(self._nodes, self._arrivals)
        self._images = SwarmImages(self._nodes)
        self._carried = ScriptConfigs(self._nodes, self._where)
        self._inspection = ContainerInspection(
            self._nodes, self._where, self._carried, settings.lost_after
        )
        self._placement = Placement(
            self._nodes, self._where, self._watch, self._inspection, self._tasks, settings
        )
        self._helpers = StagerContainers(self._nodes, self._where)
        self._handing = StdinTransfer()
        self._kept = LogArchive(self._nodes, self._where)
        self._reading = ContainerReads(self._nodes, self._where, self._inspection, self._kept)
        self._removal = ServiceRemoval(
            self._nodes,
            self._where,
            self._tasks,
            self._placement,
            self._inspection,
            self._carried,
            self._handing,
            self._kept,
        )
        self._tidying = LeftoverCleanup(self._nodes, self._helpers, self.remove)
        self._letting = StartSignal(
            self._nodes,
            self._where,
            self._watch,
            self._arrivals,
            self._inspection,
            self._carried,
            self._handing,
        )

    async def info(self) -> EngineInfo:
        """Ask a manager how it is, and what its nodes have together."""
        info = await self._nodes.ask_manager(lambda manager: manager.info())
        ready = [
            node
            for node in (await self._nodes.known()).values()
            if node.active and node.state is NodeState.READY
        ]
        cpus = int(sum(node.cpus for node in ready))
        return EngineInfo(
            name=f"Swarm of {len(ready)} nodes",
            version=info.version,
            api_version=info.api_version,
            cpus=cpus,
            memory=sum(node.memory for node in ready),
            most_at_once=max(1, AT_ONCE_PER_CPU * cpus),
            builds=False,
            helps=True,
        )

    async def nodes(self) -> tuple[NodeReport, ...]:
        """Look at every node, none longer than its deadline."""
        return node_reports(await self._nodes.look())

    async def images(self) -> tuple[Image, ...]:
        """List the images that any node has."""
        return await list_images(self._nodes)

    async def image(self, reference: str) -> Image:
        """Return an image that a node has, or that a registry was seen to have."""
        return await self._images.image(reference)

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
        if self._images.is_root(spec.image):
            self._handing.expect(container_id, spec.image)
        return container_id

    async def put_archive(
        self, container_id: str, path: str, archive: bytes | AsyncIterable[bytes]
    ) -> None:
        """Unpack a tar archive at a folder of a container, or keep it until it is let go."""
        place = await self._where.find(container_id)
        if isinstance(archive, bytes) and await self._nodes.engine_of(place.node_id) is None:
            await self._carried.take(place, path, archive)
            return
        engine = await self._where.engine_of(place)
        if isinstance(archive, bytes) and await self._handing.take(
            engine, place.container_id, path, archive
        ):
            return
        await engine.put_archive(place.container_id, path, archive)

    async def path_exists(self, container_id: str, path: str) -> bool:
        """Tell whether a path exists in a container."""
        return await self.stat(container_id, path) is not None

    async def stat(self, container_id: str, path: str) -> PathStat | None:
        """Return what a path of a container is; None if there is nothing."""
        engine, there = await self._where.there(container_id)
        return await engine.stat(there, path)

    async def start(self, container_id: str) -> str | None:
        """Let the script go, which may be in another container."""
        return await self._letting.start(container_id)

    def help(self, container_id: str, spec: StagerSpec) -> AsyncGenerator[str, None]:
        """Run a helper beside a container, on its node."""
        return self._helpers.run(container_id, spec)

    async def tidy(self, server: str, fates: Fates) -> int:
        """Remove services, configs, secrets, networks and volumes that no job needs."""
        return await self._tidying.run(server, fates)

    async def worker(self, container_id: str) -> str:
        """Return the name of the node that has a container."""
        return await self._nodes.name_of((await self._where.find(container_id)).node_id)

    async def inspect(self, container: str) -> Container:
        """Return one container by its id, unique prefix of the id, or name."""
        return await self._inspection.inspect(container)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers of all nodes that carry all these labels."""
        rows = await list_containers(
            self._nodes, self._tasks, self._where, labels, include_ended=include_ended
        )
        return self._inspection.as_let_go(rows, include_ended=include_ended)

    def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log: from the node, through the manager, or what was kept of it."""
        return self._reading.logs(container_id, request)

    async def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a running container about once a second."""
        engine, there = await self._where.there(container_id)
        async with contextlib.aclosing(engine.stats(there)) as samples:
            async for sample in samples:
                yield sample

    async def diff(self, container_id: str) -> tuple[Change, ...]:
        """List what differs from the image."""
        engine, there = await self._where.there(container_id)
        return await engine.diff(there)

    async def send_archive(self, container_id: str, path: str, open_sink: OpenSink) -> None:
        """Write a path's tar stream to a sink."""
        engine, there = await self._where.there(container_id)
        await engine.send_archive(there, path, open_sink)

    def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream; `NodeLost` if its node will not be back soon."""
        return self._reading.archive(container_id, path)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        place = await self._where.find(container_id)
        try:
            engine = await self._where.engine_of(place)
        except NoEndpoint:
            # The manager can end a task only by removing it.
            await self._kept.keep(place)
            await self._removal.remove_there(place)
            return
        await engine.stop(place.container_id, grace)

    async def remove(self, container_id: str) -> None:
        """Remove a container's service, or a service that has no container yet, by its name."""
        await self._removal.remove(container_id)

    def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs on all nodes, and the nodes themselves."""
        return merged_events(self._nodes, self._arrivals)

    async def close(self) -> None:
        """End every stream and free threads and connections."""
        await self._removal.close()
        await self._watch.close()
        await asyncio.gather(*(engine.close() for engine in self._nodes.endpoints))
