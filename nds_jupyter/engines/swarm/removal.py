"""Removes services with all that is theirs, on their node too."""

from __future__ import annotations

import asyncio

from nds_jupyter.engines.swarm.carried import Carried
from nds_jupyter.engines.swarm.handing import Handing
from nds_jupyter.engines.swarm.inspection import Inspection
from nds_jupyter.engines.swarm.kept_logs import KeptLogs
from nds_jupyter.engines.swarm.known_tasks import KnownTasks
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.placement import Placement
from nds_jupyter.engines.swarm.whereabouts import Place, Whereabouts, nowhere
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    NdsError,
)

NETWORK_TRIES, NETWORK_PAUSE = 60, 1.0
"""A network can be removed a moment after its last container, seconds apart."""


class Removal:
    """Removes containers of a Swarm."""

    def __init__(
        self,
        nodes: Nodes,
        where: Whereabouts,
        tasks: KnownTasks,
        placement: Placement,
        inspection: Inspection,
        carried: Carried,
        handing: Handing,
        kept: KeptLogs,
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

    async def remove_there(self, place: Place) -> None:
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

    async def _is_reached(self, place: Place) -> bool:
        return await self._nodes.engine_of(place.node_id) is not None

    async def _remove_from_node(self, place: Place) -> bool:
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
