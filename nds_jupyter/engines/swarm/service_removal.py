"""Removal of services, and clean-up of what jobs left in the Swarm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER
from nds_jupyter.engines.cluster import FindJobPhases, JobPhase
from nds_jupyter.engines.swarm.container_inspection import ContainerInspection, TaskListCache
from nds_jupyter.engines.swarm.container_logs import ContainerLogs
from nds_jupyter.engines.swarm.node_engine import (
    LABEL_LOG,
    NodeEngine,
    SwarmObject,
    parse_swarm_object,
)
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.placement import Placement
from nds_jupyter.engines.swarm.script_start import ScriptConfigs, StdinTransfer
from nds_jupyter.engines.swarm.stager_containers import StagerContainers
from nds_jupyter.engines.swarm.task_locations import (
    TaskLocation,
    TaskLocations,
    unplaced_location,
)
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    NdsError,
)

NETWORK_ATTEMPTS, NETWORK_PAUSE = 60, 1.0
"""Attempts to remove a network, which needs its last container gone, and seconds between two."""


class ServiceRemoval:
    """Removes containers with their services, and what was stored for them."""

    def __init__(
        self,
        nodes: Nodes,
        locations: TaskLocations,
        task_lists: TaskListCache,
        placement: Placement,
        inspection: ContainerInspection,
        script_configs: ScriptConfigs,
        stdin_transfer: StdinTransfer,
        logs: ContainerLogs,
    ) -> None:
        self._nodes = nodes
        self._locations = locations
        self._task_lists = task_lists
        self._placement = placement
        self._inspection = inspection
        self._script_configs = script_configs
        self._stdin_transfer = stdin_transfer
        self._logs = logs
        self._network_removals: set[asyncio.Task[None]] = set()

    async def remove(self, container_id: str) -> None:
        """Remove a container's service, or a service that has no container yet, by its name."""
        try:
            location = await self._locations.find(container_id)
        except ContainerNotFound:
            await self._logs.remove_archived(container_id)
            location = unplaced_location(container_id)
        await self.remove_at(location)

    async def remove_at(self, location: TaskLocation) -> None:
        """Remove what is at a location; its archived log stays."""
        if not location.service:
            await (await self._locations.engine_at(location)).remove(location.container_id)
            return
        service = location.service_id or location.service
        removed = await self._nodes.call_manager(lambda manager: manager.remove_service(service))
        self._task_lists.clear()
        if self._script_configs.has(location.container_id) or not await self._is_reachable(
            location
        ):
            await self._script_configs.remove(location)
        gone = await self._remove_from_node(location)
        # Not by its name, where a service of that name is another one by now.
        self._locations.remove(location, container=gone, service=gone and removed)
        self._inspection.mark_released(location.container_id)
        self._stdin_transfer.remove(location.container_id)
        if (network := self._placement.pop_network(location.service)) is not None:
            task = asyncio.create_task(self._remove_network(network))
            self._network_removals.add(task)
            task.add_done_callback(self._network_removals.discard)

    async def _is_reachable(self, location: TaskLocation) -> bool:
        return await self._nodes.find_engine(location.node_id) is not None

    async def _remove_from_node(self, location: TaskLocation) -> bool:
        """Remove the container too: a node keeps that of a task that had ended.

        Returns
        -------
        bool
            Whether that was done: a node that is away now is cleaned up when it is back.
        """
        if (
            not location.container_id
            or await self._nodes.seconds_down(location.node_id) is not None
        ):
            return not location.container_id
        engine = await self._nodes.find_engine(location.node_id)
        if engine is None:
            return True
        try:
            await engine.remove(location.container_id)
            if location.volume:
                await engine.remove_volume(location.volume)
        except (EngineUnavailable, DeadlineExceeded):
            return False
        except EngineError as exc:
            # Swarm is about to remove the container too, which has the volume until then.
            if "in use" not in exc.message:
                raise
        return True

    async def _remove_network(self, name: str) -> None:
        for _ in range(NETWORK_ATTEMPTS):
            try:
                await self._nodes.call_manager(lambda manager: manager.remove_network(name))
            except NdsError:
                await asyncio.sleep(NETWORK_PAUSE)
            else:
                return

    async def close(self) -> None:
        """Leave what is still to be removed to a later clean-up."""
        for task in self._network_removals:
            task.cancel()
        await asyncio.gather(*self._network_removals, return_exceptions=True)


class LeftoverCleanup:
    """Removes what this server's jobs have left, by its label; nothing of another server's.

    Parameters
    ----------
    remove
        Removes a service by its name, with its container.
    """

    def __init__(
        self, nodes: Nodes, stagers: StagerContainers, remove: Callable[[str], Awaitable[None]]
    ) -> None:
        self._nodes = nodes
        self._stagers = stagers
        self._remove = remove

    async def run(self, server: str, find_phases: FindJobPhases) -> int:
        """Remove what no job needs, and return how much that was."""
        own = [f"{LABEL_SERVER}={server}"]
        removed = await self._remove_stagers(server)
        services = await self._find_services([*own, LABEL_JOB])
        configs, networks = await asyncio.gather(
            self._nodes.call_manager(lambda manager: manager.configs([*own, LABEL_JOB])),
            self._nodes.call_manager(lambda manager: manager.networks([*own, LABEL_JOB])),
        )
        volumes = await self._find_volumes([*own, LABEL_JOB])
        left = [*services.values(), *configs, *networks, *(each for _, each in volumes)]
        phases = await find_phases({each.labels[LABEL_JOB]: _owner(each) for each in left})

        def is_left(each: SwarmObject) -> bool:
            job_id = each.labels[LABEL_JOB]
            phase = phases.get(job_id, JobPhase.ENDED)
            if LABEL_LOG in each.labels:
                return phase is JobPhase.REMOVED
            return phase is JobPhase.REMOVED or (phase is JobPhase.ENDED and job_id not in services)

        for each in filter(is_left, services.values()):
            removed += await _try_removal(self._remove(each.name))
        for each in filter(is_left, configs):
            removed += await _try_removal(self._remove_config(each.id))
        for each in filter(is_left, networks):
            removed += await _try_removal(self._remove_network(each.id))
        for engine, each in volumes:
            if is_left(each):
                removed += await _try_removal(engine.remove_volume(each.name))
        return removed

    async def _remove_stagers(self, server: str) -> int:
        """Remove stagers that no process waits for, and their secrets."""
        removed = 0
        for job_id in await self._stagers.list_jobs(server) - self._stagers.active:
            removed += await _try_removal(self._stagers.remove(job_id))
        return removed

    async def _find_services(self, labels: list[str]) -> dict[str, SwarmObject]:
        """Return the services with these labels, by their job."""
        rows = await self._nodes.call_manager(lambda manager: manager.services(labels))
        found = map(parse_swarm_object, rows)
        return {each.labels[LABEL_JOB]: each for each in found}

    async def _find_volumes(self, labels: list[str]) -> list[tuple[NodeEngine, SwarmObject]]:
        """Return the volumes of every node that replies."""
        replies = await self._nodes.call_each_node(lambda engine: engine.volumes(labels))
        found = []
        for node_id, volumes in replies.results.items():
            engine = await self._nodes.find_engine(node_id)
            if engine is not None:
                found += [(engine, each) for each in cast("Iterable[SwarmObject]", volumes)]
        return found

    async def _remove_config(self, config_id: str) -> None:
        await self._nodes.call_manager(lambda manager: manager.remove_config(config_id))

    async def _remove_network(self, network_id: str) -> None:
        await self._nodes.call_manager(lambda manager: manager.remove_network(network_id))


async def _try_removal(removal: Awaitable[object]) -> bool:
    """Tell whether something could be removed; what is still in use is tried another time."""
    try:
        await removal
    except NdsError:
        return False
    return True


def _owner(each: SwarmObject) -> str:
    return each.labels.get(LABEL_OWNER, "")
