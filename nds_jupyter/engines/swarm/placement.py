"""Placement: creation of a service, and waiting until a node has made its container."""

from __future__ import annotations

import contextlib
import secrets

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, ContainerSpec, ContainerStatus
from nds_jupyter.engines.swarm import services, tasks
from nds_jupyter.engines.swarm.container_reads import ContainerInspection
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.services import STARTER, STARTER_NAME
from nds_jupyter.engines.swarm.settings import SwarmSettings
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.engines.swarm.task_watch import TaskCache, TaskWatch
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import NameTaken, NoEndpoint, NotPlaced
from nds_jupyter.jobs.job import Network
from nds_jupyter.jobs.sizes import size_text

PLACED_WITHIN = 3.0
"""Seconds that a call waits for a node before it says why there is none."""

_TAKEN_BACK = "no longer meets constraints"
"""The manager takes a node away from a task that has not begun (SwarmKit, constraintenforcer)."""


class Placement:
    """Brings containers onto nodes."""

    def __init__(
        self,
        nodes: Nodes,
        where: TaskLocations,
        watch: TaskWatch,
        inspection: ContainerInspection,
        tasks: TaskCache,
        settings: SwarmSettings,
    ) -> None:
        self._nodes = nodes
        self._tasks = tasks
        self._where = where
        self._watch = watch
        self._inspection = inspection
        self._settings = settings
        self._starter_id: str | None = None
        self._networks: dict[str, str] = {}

    def give_up_network(self, service: str) -> str | None:
        """Return the network that a service had for itself, which is to be removed now."""
        return self._networks.pop(service, None)

    async def create(self, spec: ContainerSpec) -> str:
        """Make the service unless this job has made it before; then wait for its container."""
        wanted = await self._constraints(spec)
        try:
            service_id = await self._make_service(spec, wanted)
        except NameTaken:
            service_id = await self._refuse_unless_waiting(spec, wanted)
        place = await self._placed(spec, wanted, service_id)
        await self._refuse_out_of_reach(spec, place)
        if spec.volume:
            # A node that tells of a start does not tell of that.
            self._where.note_place(msgspec.structs.replace(place, volume=spec.name))
        self._inspection.hold(place.container_id)
        return place.container_id

    async def _constraints(self, spec: ContainerSpec) -> tuple[str, ...]:
        """Return what the node must fulfil; where data go in or out, it must be within reach."""
        given = (*self._settings.constraints, *spec.constraints)
        if not spec.transfers:
            return given
        return (*given, *(f"node.id!={node_id}" for node_id in await self._nodes.out_of_reach()))

    async def _refuse_out_of_reach(self, spec: ContainerSpec, place: TaskLocation) -> None:
        """Give up a node that nothing can be put into: it had an endpoint when it was chosen."""
        if spec.transfers and await self._nodes.engine_of(place.node_id) is None:
            await self._nodes.ask_manager(lambda manager: manager.remove_service(spec.name))
            name = await self._nodes.name_of(place.node_id)
            raise NotPlaced(f"Waiting for a node: {name} has no endpoint that answers.")

    async def _make_anew(self, spec: ContainerSpec, constraints: tuple[str, ...]) -> str:
        await self._nodes.ask_manager(lambda manager: manager.remove_service(spec.name))
        return await self._make_service(spec, constraints)

    async def _make_service(self, spec: ContainerSpec, constraints: tuple[str, ...]) -> str:
        is_new = spec.name not in self._networks
        network = await self._network(spec) if spec.network is Network.NONE else None
        starter = await self._starter()
        body = services.service(spec, starter, self._settings, network, constraints)
        try:
            service_id = await self._nodes.ask_manager(lambda manager: manager.create_service(body))
        except NameTaken:
            if network is not None and is_new:
                del self._networks[spec.name]
                await self._nodes.ask_manager(lambda manager: manager.remove_network(network))
            raise
        self._where.is_made_anew(spec.name)
        self._tasks.changed()
        return service_id

    async def _network(self, spec: ContainerSpec) -> str:
        """Make the network of a service that may reach nothing.

        A service made anew gets another: while the first one's goes, its name is still taken.
        """
        name = self._networks.setdefault(spec.name, f"{spec.name}-{secrets.token_hex(4)}")
        network = services.isolated_network(name, spec.labels)
        await self._nodes.ask_manager(lambda manager: manager.create_network(network))
        return name

    async def _starter(self) -> str:
        if self._starter_id is None:
            self._starter_id = await self._nodes.ask_manager(
                lambda manager: manager.config_id(STARTER_NAME, STARTER)
            )
        return self._starter_id

    async def _refuse_unless_waiting(
        self, spec: ContainerSpec, constraints: tuple[str, ...]
    ) -> str:
        """Go on with what this job waits for; `NameTaken` for any other, and for what it has.

        Returns
        -------
        str
            The service's id where it is to be started yet, else empty: the manager is to say.
        """
        taken = NameTaken(f"The service {spec.name} exists already.")
        task = await self._where.task_of(spec.name)
        if task is None:
            return ""
        if task.job_id != spec.labels.get(LABEL_JOB) or task.command != spec.command:
            raise taken
        if task.container_id is None and not task.is_released and task.constraints != constraints:
            # Other nodes are within reach by now.
            return await self._make_anew(spec, constraints)
        if await self._is_lost(task):
            return ""
        if task.container_id is None:
            return task.service_id
        if self._inspection.is_held(task.container_id):
            raise taken
        # Of one that is out of reach nobody can tell, but this job was not let go, or it would not
        # be created again.
        with contextlib.suppress(NoEndpoint):
            if (await self._inspection.inspect(spec.name)).state is not ContainerStatus.CREATED:
                raise taken
        return ""

    async def _placed(
        self, spec: ContainerSpec, constraints: tuple[str, ...], service_id: str
    ) -> TaskLocation:
        """Return where the container is; a service whose node went down is made anew once."""
        for _ in range(2):
            there = await self._watch.until_there(spec.name, service_id, PLACED_WITHIN)
            if isinstance(there, TaskLocation):
                # Its node has just told that it has started it, so it is up.
                self._where.note_place(there)
                return there
            if there is None or not await self._is_lost(there):
                return self._where.note(await self._refuse_unless_there(spec, there))
            # Swarm never moves a job's task off a node that went down.
            service_id = await self._make_anew(spec, constraints)
        raise NotPlaced("Waiting for a node: those that were found went down.")

    async def _refuse_unless_there(self, spec: ContainerSpec, task: Task | None) -> Task:
        """Return the task if it has a container; `NotPlaced` if it may still get one."""
        if task is not None and task.container_id is not None:
            return task
        if task is not None and task.has_ended:
            if _TAKEN_BACK in task.error:
                await self._nodes.ask_manager(lambda manager: manager.remove_service(spec.name))
                raise NotPlaced("Waiting for a node: the one that was found has no room any more.")
            raise tasks.failure(task)
        wish = _wish(spec, task) + await self._hint(spec, task)
        raise NotPlaced(tasks.waiting_sentence(task) + wish)

    async def _hint(self, spec: ContainerSpec, task: Task | None) -> str:
        """Say which nodes are left out for want of an endpoint."""
        names = sorted((await self._nodes.out_of_reach()).values()) if spec.transfers else []
        if task is None or not task.error or not names:
            return ""
        left_out = f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        return (
            " Its inputs, output or long script need the engine of its node; without an endpoint "
            f"in c.NdsApp.endpoints: {left_out}."
        )

    async def _is_lost(self, task: Task) -> bool:
        if task.has_ended or not task.node_id:
            return task.is_given_up
        return await self._nodes.down_for(task.node_id) is not None


def _wish(spec: ContainerSpec, task: Task | None) -> str:
    """Say what the job asks for, where no node has it."""
    if task is None or not task.error:
        return ""
    wishes = [f"cpus {spec.limits.cpus:g}", f"memory {size_text(spec.limits.memory)}"]
    wishes += [f"gpus {spec.gpus}"] if spec.gpus else []
    wishes += [f"constraint {each}" for each in spec.constraints]
    return f" The job asks for {', '.join(wishes)}."
