"""Locations of containers: which node runs which job's task."""

from __future__ import annotations

import asyncio
import re

import msgspec

from nds_jupyter.engines.base import LABEL_JOB
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.tasks import Task, newest_task
from nds_jupyter.errors import AmbiguousId, ContainerNotFound, NoEndpoint
from nds_jupyter.jobs.job import container_name

MAX_REMOVED = 2000
"""Names whose removal is remembered: their node may take a moment to carry it out."""

INSPECT_TIMEOUT = 30.0
"""Seconds in which a node answers whether it has a container."""

_SERVICE = re.compile(r"nds-[0-9a-f]{16}")


class TaskLocation(msgspec.Struct, frozen=True, kw_only=True):
    """Node, task and service of a container; no `service` for one that is no job's.

    A service that is created again has its old name, and another `service_id`.
    """

    service: str
    service_id: str
    container_id: str
    task_id: str
    node_id: str
    volume: str = ""


def no_endpoint_text(node: str) -> str:
    """Return what can't be had of a container on a node without an endpoint."""
    return (
        f"The container is on {node}, whose engine this server was not told how to reach: its "
        "state and its log can be had, its files, changes and metrics can't. An administrator can "
        f"add the engine of {node} to c.NdsApp.endpoints."
    )


def unplaced_location(service: str) -> TaskLocation:
    """Return the location of a service that has no container yet."""
    return TaskLocation(service=service, service_id="", container_id="", task_id="", node_id="")


class TaskLocations:
    """Cache of where the containers of a Swarm are, filled from the manager and the nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._locations: dict[str, TaskLocation] = {}
        self._removed: dict[str, None] = {}

    def add_task(self, task: Task) -> TaskLocation:
        """Add the location of a task's container, and return it."""
        location = TaskLocation(
            service=container_name(task.job_id),
            service_id=task.service_id,
            container_id=task.container_id or "",
            task_id=task.id,
            node_id=task.node_id,
            volume=task.volume,
        )
        if task.container_id is not None:
            self.add(location)
        return location

    def add(self, location: TaskLocation) -> None:
        """Add the location of a container."""
        self._locations[location.container_id] = location

    def redirect(self, container_id: str, task: Task) -> None:
        """Point the id of a container to the one that was made in its stead."""
        self._locations[container_id] = self.add_task(task)

    def remove(self, location: TaskLocation, *, container: bool, service: bool) -> None:
        """Remove the location of a container.

        Parameters
        ----------
        container, service
            What of it is gone for good: a node that is away now may show it again.
        """
        self._locations.pop(location.container_id, None)
        for name in (location.container_id * container, location.service * service):
            if name:
                self._removed[name] = None
        while len(self._removed) > MAX_REMOVED:
            del self._removed[next(iter(self._removed))]

    def is_removed(self, name: str) -> bool:
        """Tell whether a container, or a service by its name, was removed a moment ago."""
        return name in self._removed

    def clear_removed(self, service: str) -> None:
        """Record that a service of this name is made, after an earlier one was removed."""
        self._removed.pop(service, None)

    async def find(self, container: str) -> TaskLocation:
        """Return the location of a container, by its id, a prefix of that, or its name.

        Raises
        ------
        ContainerNotFound
            If there is none, or none yet.
        """
        if (known := self._locations.get(container)) is not None:
            return known
        if _SERVICE.fullmatch(container):
            task = await self.find_task(container)
        else:
            task = await self._find_task_by_prefix(container)
        if task is None or task.container_id is None or self.is_removed(task.container_id):
            return await self._find_on_nodes(container)
        return self.add_task(task)

    async def find_or_unplaced(self, container: str) -> TaskLocation:
        """Return the location of a container, or of a service that has none now."""
        try:
            return await self.find(container)
        except ContainerNotFound:
            if not _SERVICE.fullmatch(container):
                raise
            return unplaced_location(container)

    async def find_task(self, service: str) -> Task | None:
        """Return a service's newest task."""
        return newest_task(await self.list_tasks(service))

    async def list_tasks(self, service: str) -> tuple[Task, ...]:
        """Return a service's tasks; none if there is no such service."""
        try:
            return await self._nodes.call_manager(
                lambda manager: manager.tasks({"service": [service]})
            )
        except ContainerNotFound:
            return ()

    async def _find_task_by_prefix(self, prefix: str) -> Task | None:
        tasks = await self._nodes.call_manager(
            lambda manager: manager.tasks({"label": [LABEL_JOB]})
        )
        found = [task for task in tasks if (task.container_id or "").startswith(prefix)]
        if len(found) > 1:
            matches = sorted(task.container_id or "" for task in found)
            raise AmbiguousId(f"{prefix}: several containers have this prefix.", matches=matches)
        return found[0] if found else None

    async def _find_on_nodes(self, container: str) -> TaskLocation:
        """Look for a container that is no service's."""
        missing = ContainerNotFound(f"The container {container[:12]} does not exist.")
        if _SERVICE.fullmatch(container) or self.is_removed(container):
            raise missing
        replies = await self._nodes.call_each_node(lambda engine: _find_on_node(engine, container))
        found = [(node, str(there)) for node, there in replies.results.items() if there]
        if len(found) > 1:
            matches = sorted(there for _, there in found)
            raise AmbiguousId(f"{container}: several containers have this prefix.", matches=matches)
        if not found or self.is_removed(found[0][1]):
            raise missing
        node_id, there = found[0]
        return TaskLocation(
            service="", service_id="", container_id=there, task_id="", node_id=node_id
        )

    async def engine_at(self, location: TaskLocation) -> NodeEngine:
        """Return the engine that has a container.

        Raises
        ------
        NoEndpoint
            If it is not known how to reach it.
        """
        engine = await self._nodes.find_engine(location.node_id)
        if engine is None:
            raise NoEndpoint(no_endpoint_text(await self._nodes.node_name(location.node_id)))
        return engine

    async def find_engine(self, container: str) -> tuple[NodeEngine, str]:
        """Return the engine that has a container, and the container's id there."""
        location = await self.find(container)
        return await self.engine_at(location), location.container_id


async def _find_on_node(engine: NodeEngine, container: str) -> str:
    try:
        async with asyncio.timeout(INSPECT_TIMEOUT):
            return (await engine.inspect(container)).id
    except ContainerNotFound:
        return ""
