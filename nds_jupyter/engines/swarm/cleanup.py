"""Removal of services and of what jobs left on the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER
from nds_jupyter.engines.cluster import Fates, JobFate
from nds_jupyter.engines.swarm.container_reads import ContainerInspection
from nds_jupyter.engines.swarm.log_archive import LogArchive
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.placement import Placement
from nds_jupyter.engines.swarm.script_configs import ScriptConfigs
from nds_jupyter.engines.swarm.script_start import StdinTransfer
from nds_jupyter.engines.swarm.stager_containers import StagerContainers
from nds_jupyter.engines.swarm.swarm_objects import LABEL_LOG, SwarmObject
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations, nowhere
from nds_jupyter.engines.swarm.task_watch import TaskCache
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    NdsError,
)

NETWORK_TRIES, NETWORK_PAUSE = 60, 1.0
"""A network can be removed a moment after its last container, seconds apart."""


class ServiceRemoval:
    """Removes containers of a Swarm."""

    def __init__(
        self,
        nodes: Nodes,
        where: TaskLocations,
        tasks: TaskCache,
        placement: Placement,
        inspection: ContainerInspection,
        carried: ScriptConfigs,
        handing: StdinTransfer,
        kept: LogArchive,
    ) -> None:
        self._nodes = nodes
        self._where = where
        self._tasks = tasks
        self._placement = placement
        self._inspection = inspection
        self._carried = carried
        self._handing = handing
        self._kept = kept
        self._later: set[asyncio.Task[None]] = set()

    async def remove(self, container_id: str) -> None:
        """Remove a container's service, or a service that has no container yet, by its name."""
        try:
            place = await self._where.find(container_id)
        except ContainerNotFound:
            await self._kept.drop(container_id)
            place = nowhere(container_id)
        await self.remove_there(place)

    async def remove_there(self, place: TaskLocation) -> None:
        """Remove what is at a place; a log that was kept of it stays."""
        if not place.service:
            await (await self._where.engine_of(place)).remove(place.container_id)
            return
        service = place.service_id or place.service
        removed = await self._nodes.ask_manager(lambda manager: manager.remove_service(service))
        self._tasks.changed()
        if self._carried.took(place.container_id) or not await self._is_reached(place):
            await self._carried.remove(place)
        gone = await self._remove_from_node(place)
        # Not by its name, where a service of that name is another one by now.
        self._where.forget(place, container=gone, service=gone and removed)
        self._inspection.forget(place.container_id)
        self._handing.forget(place.container_id)
        if (network := self._placement.give_up_network(place.service)) is not None:
            task = asyncio.create_task(self._remove_network(network))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _is_reached(self, place: TaskLocation) -> bool:
        return await self._nodes.engine_of(place.node_id) is not None

    async def _remove_from_node(self, place: TaskLocation) -> bool:
        """Remove the container too: a node keeps that of a task that had ended.

        Returns
        -------
        bool
            Whether that was done: a node that is away now is cleaned up when it is back.
        """
        if not place.container_id or await self._nodes.down_for(place.node_id) is not None:
            return not place.container_id
        engine = await self._nodes.engine_of(place.node_id)
        if engine is None:
            return True
        try:
            await engine.remove(place.container_id)
            if place.volume:
                await engine.remove_volume(place.volume)
        except (EngineUnavailable, DeadlineExceeded):
            return False
        except EngineError as exc:
            # Swarm is about to remove the container too, which has the volume until then.
            if "in use" not in exc.message:
                raise
        return True

    async def _remove_network(self, name: str) -> None:
        for _ in range(NETWORK_TRIES):
            try:
                await self._nodes.ask_manager(lambda manager: manager.remove_network(name))
            except NdsError:
                await asyncio.sleep(NETWORK_PAUSE)
            else:
                return

    async def close(self) -> None:
        """Leave what is still to be removed to a later tidying."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)


Call = Callable[[NodeEngine], Awaitable[object]]


class LeftoverCleanup:
    """Looks for things with this server's label, and never touches any other.

    Parameters
    ----------
    remove
        Removes a service by its name, with its container.
    """

    def __init__(
        self, nodes: Nodes, helpers: StagerContainers, remove: Callable[[str], Awaitable[None]]
    ) -> None:
        self._nodes = nodes
        self._helpers = helpers
        self._remove = remove

    async def run(self, server: str, fates: Fates) -> int:
        """Remove what no job needs, and return how much that was."""
        own = [f"{LABEL_SERVER}={server}"]
        removed = await self._remove_helpers(server)
        services = await self._services([*own, LABEL_JOB])
        configs, networks = await asyncio.gather(
            self._nodes.ask_manager(lambda manager: manager.configs([*own, LABEL_JOB])),
            self._nodes.ask_manager(lambda manager: manager.networks([*own, LABEL_JOB])),
        )
        volumes = await self._volumes([*own, LABEL_JOB])
        left = [*services.values(), *configs, *networks, *(each for _, each in volumes)]
        fate = await fates({each.labels[LABEL_JOB]: _owner(each) for each in left})

        def is_left(each: SwarmObject) -> bool:
            job_id = each.labels[LABEL_JOB]
            what = fate.get(job_id, JobFate.ENDED)
            if LABEL_LOG in each.labels:
                return what is JobFate.GONE
            return what is JobFate.GONE or (what is JobFate.ENDED and job_id not in services)

        for each in filter(is_left, services.values()):
            removed += await _done(self._remove(each.name))
        for each in filter(is_left, configs):
            removed += await self._by_manager(_remove_config(each.id))
        for each in filter(is_left, networks):
            removed += await self._by_manager(_remove_network(each.id))
        for engine, each in volumes:
            if is_left(each):
                removed += await _done(engine.remove_volume(each.name))
        return removed

    async def _remove_helpers(self, server: str) -> int:
        """Remove helpers that no process waits for, and their secrets."""
        removed = 0
        for job_id in await self._helpers.jobs_of(server) - self._helpers.active:
            removed += await _done(self._helpers.remove(job_id))
        return removed

    async def _services(self, labels: list[str]) -> dict[str, SwarmObject]:
        """Return the services with these labels, by their job."""
        rows = await self._nodes.ask_manager(lambda manager: manager.services(labels))
        found = map(_of_service, rows)
        return {each.labels[LABEL_JOB]: each for each in found}

    async def _volumes(self, labels: list[str]) -> list[tuple[NodeEngine, SwarmObject]]:
        """Return the volumes of every node that answers."""
        answers = await self._nodes.ask_each(lambda engine: engine.volumes(labels))
        found = []
        for node_id, volumes in answers.found.items():
            engine = await self._nodes.engine_of(node_id)
            if engine is not None:
                found += [(engine, each) for each in cast("Iterable[SwarmObject]", volumes)]
        return found

    async def _by_manager(self, call: Call) -> bool:
        return await _done(self._nodes.ask_manager(call))


async def _done(removal: Awaitable[object]) -> bool:
    """Whether something could be removed; what is still in use is looked at again another time."""
    try:
        await removal
    except NdsError:
        return False
    return True


def _remove_config(config_id: str) -> Call:
    return lambda manager: manager.remove_config(config_id)


def _remove_network(network_id: str) -> Call:
    return lambda manager: manager.remove_network(network_id)


def _of_service(row: Mapping[str, Any]) -> SwarmObject:
    spec = row["Spec"]
    return SwarmObject(id=row["ID"], name=spec["Name"], labels=spec.get("Labels") or {})


def _owner(each: SwarmObject) -> str:
    return each.labels.get(LABEL_OWNER, "")
