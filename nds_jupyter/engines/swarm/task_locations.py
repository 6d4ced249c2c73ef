"""Locations of containers: which node runs which job's task."""

from __future__ import annotations

import asyncio
import re

import msgspec

from nds_jupyter.engines.base import LABEL_JOB
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.tasks import Task, newest
from nds_jupyter.errors import AmbiguousId, ContainerNotFound, NoEndpoint
from nds_jupyter.jobs.job import container_name

REMOVED_KEPT = 2000
"""Names whose removal is remembered: their node may take a moment to carry it out."""

_SERVICE = re.compile(r"nds-[0-9a-f]{16}")


class TaskLocation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container is; `service` is empty for one that no job of ours made.

    A service that is made anew has its old name, and another `service_id`.
    """

    service: str
    service_id: str
    container_id: str
    task_id: str
    node_id: str
    volume: str = ""


def no_endpoint(node: str) -> str:
    """Say what can't be had of a container on a node without an endpoint."""
    return (
        f"The container is on {node}, whose engine this server was not told how to reach: its "
        "state and its log can be had, its files, changes and metrics can't. An administrator can "
        f"add the engine of {node} to c.NdsApp.endpoints."
    )


def nowhere(service: str) -> TaskLocation:
    """Return the place of a service that has no container yet."""
    return TaskLocation(service=service, service_id="", container_id="", task_id="", node_id="")


class TaskLocations:
    """Finds containers in a Swarm."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: dict[str, TaskLocation] = {}
        self._removed: dict[str, None] = {}

    def note(self, task: Task) -> TaskLocation:
        """Remember where a task's container is."""
        place = TaskLocation(
            service=container_name(task.job_id),
            service_id=task.service_id,
            container_id=task.container_id or "",
            task_id=task.id,
            node_id=task.node_id,
            volume=task.volume,
        )
        if task.container_id is not None:
            self.note_place(place)
        return place

    def note_place(self, place: TaskLocation) -> None:
        """Remember where a container is."""
        self._known[place.container_id] = place

    def moved(self, container_id: str, task: Task) -> None:
        """Take note that a container was made anew, to be let go."""
        self._known[container_id] = self.note(task)

    def forget(self, place: TaskLocation, *, container: bool, service: bool) -> None:
        """Forget where a container is.

        Parameters
        ----------
        container, service
            What of it is gone for good: a node that is away now may show it again.
        """
        self._known.pop(place.container_id, None)
        for name in (place.container_id * container, place.service * service):
            if name:
                self._removed[name] = None
        while len(self._removed) > REMOVED_KEPT:
            del self._removed[next(iter(self._removed))]

    def is_removed(self, name: str) -> bool:
        """Tell whether a container, or a service by its name, was removed a moment ago."""
        return name in self._removed

    def is_made_anew(self, service: str) -> None:
        """Take note that a service of this name is made, after an earlier one was removed."""
        self._removed.pop(service, None)

    async def find(self, container: str) -> TaskLocation:
        """Return where a container is, by its id, a prefix of that, or its name.

        Raises
        ------
        ContainerNotFound
            If there is none, or none yet.
        """
        if (known := self._known.get(container)) is not None:
            return known
        if _SERVICE.fullmatch(container):
            task = await self.task_of(container)
        else:
            task = await self._task_with(container)
        if task is None or task.container_id is None or self.is_removed(task.container_id):
            return await self._find_on_nodes(container)
        return self.note(task)

    async def service_of(self, container: str) -> TaskLocation:
        """Return where a container is, or what is known of a service that has none now."""
        try:
            return await self.find(container)
        except ContainerNotFound:
            if not _SERVICE.fullmatch(container):
                raise
            return nowhere(container)

    async def task_of(self, service: str) -> Task | None:
        """Return a service's newest task."""
        return newest(await self.tasks_of(service))

    async def tasks_of(self, service: str) -> tuple[Task, ...]:
        """Return a service's tasks; none if there is no such service."""
        try:
            return await self._nodes.ask_manager(
                lambda manager: manager.tasks({"service": [service]})
            )
        except ContainerNotFound:
            return ()

    async def _task_with(self, prefix: str) -> Task | None:
        tasks = await self._nodes.ask_manager(lambda manager: manager.tasks({"label": [LABEL_JOB]}))
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
        answers = await self._nodes.ask_each(lambda engine: _id_there(engine, container))
        found = [(node, str(there)) for node, there in answers.found.items() if there]
        if len(found) > 1:
            matches = sorted(there for _, there in found)
            raise AmbiguousId(f"{container}: several containers have this prefix.", matches=matches)
        if not found or self.is_removed(found[0][1]):
            raise missing
        node_id, there = found[0]
        return TaskLocation(
            service="", service_id="", container_id=there, task_id="", node_id=node_id
        )

    async def engine_of(self, place: TaskLocation) -> NodeEngine:
        """Return the engine that has a container.

        Raises
        ------
        NoEndpoint
            If it is not known how to reach it.
        """
        engine = await self._nodes.engine_of(place.node_id)
        if engine is None:
            raise NoEndpoint(no_endpoint(await self._nodes.name_of(place.node_id)))
        return engine

    async def there(self, container: str) -> tuple[NodeEngine, str]:
        """Return the engine that has a container, and the container's id there."""
        place = await self.find(container)
        return await self.engine_of(place), place.container_id


async def _id_there(engine: NodeEngine, container: str) -> str:
    try:
        async with asyncio.timeout(30):
            return (await engine.inspect(container)).id
    except ContainerNotFound:
        return ""
