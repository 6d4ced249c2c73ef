"""Lets scripts go: by a file on their node, or where nothing can be put there, by their service."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from nds_jupyter.engines.base import Container, ContainerStatus
from nds_jupyter.engines.swarm import services
from nds_jupyter.engines.swarm import tasks as values
from nds_jupyter.engines.swarm.arrivals import Arrivals
from nds_jupyter.engines.swarm.carried import Carried
from nds_jupyter.engines.swarm.handing import Handing
from nds_jupyter.engines.swarm.inspection import Inspection
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.services import Config
from nds_jupyter.engines.swarm.starter import GO_FOLDER, go_archive
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.engines.swarm.watch import TaskWatch
from nds_jupyter.engines.swarm.whereabouts import Place, Whereabouts
from nds_jupyter.errors import ContainerNotFound, EngineError, NdsError, NotPlaced

START_SECONDS = 30.0
"""Seconds in which a container that a node has made must have been started by it."""


class Letting:
    """Lets each container go once, whoever asks how often."""

    def __init__(
        self,
        nodes: Nodes,
        where: Whereabouts,
        watch: TaskWatch,
        arrivals: Arrivals,
        inspection: Inspection,
        carried: Carried,
        handing: Handing,
    ) -> None:
        self._nodes = nodes
        self._where = where
        self._watch = watch
        self._arrivals = arrivals
        self._inspection = inspection
        self._carried = carried
        self._handing = handing

    async def start(self, container_id: str) -> str | None:
        """Let a container's script go, and return the id of another one that has it, if any.

        Raises
        ------
        NotPlaced
            If it was let go, and waits for a node; calling this again goes on waiting.
        NodeLost
            If it has ended, without having been let go.
        """
        place = await self._where.service_of(container_id)
        if (configs := await self._configs(place)) is not None:
            self._inspection.let_go(place.container_id)
            return await self._by_service(place, configs)
        engine = await self._where.engine_of(place)
        self._inspection.let_go(place.container_id)
        if not await self._handing.let_go(engine, place.container_id):
            there = await engine.inspect(place.container_id)
            if there.state is ContainerStatus.EXITED:
                # With the file in it, it would pass for one whose script began.
                raise await self._inspection.ended(place, ran=False)
            await engine.put_archive(place.container_id, GO_FOLDER, go_archive())
        if not self._arrivals.has_started(place.container_id):
            await self._until_started(place)
        return None

    async def _configs(self, place: Place) -> tuple[Config, ...] | None:
        """Return what was taken for a container; None if its node has it already."""
        is_reached = await self._nodes.engine_of(place.node_id) is not None
        known = self._inspection.is_held(place.container_id)
        if is_reached and known and not self._carried.took(place.container_id):
            return None
        found = await self._carried.of(place.service)
        return (await self._carried.letting(), *found) if found else None

    async def _by_service(self, place: Place, configs: tuple[Config, ...]) -> str:
        def change(body: dict[str, Any]) -> dict[str, Any] | None:
            # Changed again, the script would run again.
            return None if services.is_let_go(body) else services.let_go(body, configs)

        await self._nodes.ask_manager(lambda manager: manager.change_service(place.service, change))
        in_time, task = await self._watch.until(place.service, _runs_or_ran, START_SECONDS)
        if task is None or not in_time:
            raise NotPlaced(values.waiting_sentence(task))
        if task.container_id is None:
            raise values.failure(task)
        self._where.moved(place.container_id, task)
        return task.container_id

    async def _until_started(self, place: Place) -> None:
        """Wait until the node has started what it made; an image without a shell ends here."""
        engine = await self._where.engine_of(place)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while True:
                    there = await engine.inspect(place.container_id)
                    if there.state is not ContainerStatus.CREATED:
                        return
                    task = await self._where.task_of(place.service)
                    if there.error or task is None or task.has_ended:
                        raise _not_started(task, there)
                    await asyncio.sleep(0.05)
        raise EngineError(f"The node did not start the container {place.container_id[:12]}.")


def _runs_or_ran(task: Task) -> bool:
    return task.is_let_go and (task.has_ended or task.state == "running")


def _not_started(task: Task | None, there: Container) -> NdsError:
    if task is None:
        return ContainerNotFound(f"The container {there.id[:12]} was removed.")
    return values.failure(msgspec.structs.replace(task, error=task.error or there.error))
