"""Placement of jobs: creation of services, and waits until a node has made their containers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import Callable

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, ContainerSpec, ContainerStatus
from nds_jupyter.engines.swarm import service_specs, tasks
from nds_jupyter.engines.swarm.container_inspection import ContainerInspection, TaskListCache
from nds_jupyter.engines.swarm.node_events import StartedContainers
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.service_specs import STARTER, STARTER_NAME
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.engines.swarm.tasks import Task, newest_task
from nds_jupyter.errors import ContainerNotFound, NameTaken, NdsError, NoEndpoint, NotPlaced
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.job import Network, container_name

PLACEMENT_TIMEOUT = 3.0
"""Seconds that a call waits for a node before it says why there is none."""

_TAKEN_BACK = "no longer meets constraints"
"""The manager takes a node away from a task that has not begun (SwarmKit, constraintenforcer)."""


class Placement:
    """Places containers on nodes, each as the one task of a service of its own.

    Parameters
    ----------
    constraints
        What the node of every container must fulfil.
    gpu_resource
        What the nodes call a GPU.
    """

    def __init__(
        self,
        nodes: Nodes,
        locations: TaskLocations,
        task_watch: TaskWatch,
        inspection: ContainerInspection,
        task_lists: TaskListCache,
        *,
        constraints: tuple[str, ...],
        gpu_resource: str,
    ) -> None:
        self._nodes = nodes
        self._locations = locations
        self._task_watch = task_watch
        self._inspection = inspection
        self._task_lists = task_lists
        self._constraints = constraints
        self._gpu_resource = gpu_resource
        self._starter_id: str | None = None
        self._networks: dict[str, str] = {}

    def pop_network(self, service: str) -> str | None:
        """Return the network that a service had for itself, which is to be removed now."""
        return self._networks.pop(service, None)

    async def create(self, spec: ContainerSpec) -> str:
        """Create the service unless this job has created it before; wait for its container."""
        constraints = await self._all_constraints(spec)
        try:
            service_id = await self._create_service(spec, constraints)
        except NameTaken:
            service_id = await self._resume_service(spec, constraints)
        location = await self._wait_for_container(spec, constraints, service_id)
        await self._refuse_without_endpoint(spec, location)
        if spec.volume:
            # The event of a start does not have that.
            self._locations.add(msgspec.structs.replace(location, volume=spec.name))
        self._inspection.mark_waiting(location.container_id)
        return location.container_id

    async def _all_constraints(self, spec: ContainerSpec) -> tuple[str, ...]:
        """Return what the node must fulfil; where data go in or out, it needs an endpoint."""
        given = (*self._constraints, *spec.constraints)
        if not spec.transfers:
            return given
        unreachable = await self._nodes.nodes_without_endpoint()
        return (*given, *(f"node.id!={node_id}" for node_id in unreachable))

    async def _refuse_without_endpoint(self, spec: ContainerSpec, location: TaskLocation) -> None:
        """Give up a node that nothing can be put into: it had an endpoint when it was chosen."""
        if spec.transfers and await self._nodes.find_engine(location.node_id) is None:
            await self._nodes.call_manager(lambda manager: manager.remove_service(spec.name))
            name = await self._nodes.node_name(location.node_id)
            raise NotPlaced(f"Waiting for a node: {name} has no endpoint that answers.")

    async def _recreate_service(self, spec: ContainerSpec, constraints: tuple[str, ...]) -> str:
        await self._nodes.call_manager(lambda manager: manager.remove_service(spec.name))
        return await self._create_service(spec, constraints)

    async def _create_service(self, spec: ContainerSpec, constraints: tuple[str, ...]) -> str:
        is_new = spec.name not in self._networks
        network = await self._create_network(spec) if spec.network is Network.NONE else None
        starter_id = await self._ensure_starter()
        body = service_specs.service_body(
            spec, starter_id, self._gpu_resource, network, constraints
        )
        try:
            service_id = await self._nodes.call_manager(
                lambda manager: manager.create_service(body)
            )
        except NameTaken:
            if network is not None and is_new:
                del self._networks[spec.name]
                await self._nodes.call_manager(lambda manager: manager.remove_network(network))
            raise
        self._locations.clear_removed(spec.name)
        self._task_lists.clear()
        return service_id

    async def _create_network(self, spec: ContainerSpec) -> str:
        """Create the network of a service that may reach nothing.

        A service that is created again gets another: while the first one's goes, its name is still
        taken.
        """
        name = self._networks.setdefault(spec.name, f"{spec.name}-{secrets.token_hex(4)}")
        body = service_specs.isolated_network_body(name, spec.labels)
        await self._nodes.call_manager(lambda manager: manager.create_network(body))
        return name

    async def _ensure_starter(self) -> str:
        if self._starter_id is None:
            self._starter_id = await self._nodes.call_manager(
                lambda manager: manager.ensure_config(STARTER_NAME, STARTER)
            )
        return self._starter_id

    async def _resume_service(self, spec: ContainerSpec, constraints: tuple[str, ...]) -> str:
        """Go on with what this job waits for; `NameTaken` for any other, and for what it has.

        Returns
        -------
        str
            The service's id where its container is yet to start, else empty: the manager is polled.
        """
        taken = NameTaken(f"The service {spec.name} exists already.")
        task = await self._locations.find_task(spec.name)
        if task is None:
            return ""
        if task.job_id != spec.labels.get(LABEL_JOB) or task.command != spec.command:
            raise taken
        if task.container_id is None and not task.is_released and task.constraints != constraints:
            # Other nodes are within reach by now.
            return await self._recreate_service(spec, constraints)
        if await self._is_lost(task):
            return ""
        if task.container_id is None:
            return task.service_id
        if self._inspection.is_waiting(task.container_id):
            raise taken
        # Of one that is out of reach that is not known, but this job was not released, or it would
        # not be created again.
        with contextlib.suppress(NoEndpoint):
            if (await self._inspection.inspect(spec.name)).state is not ContainerStatus.CREATED:
                raise taken
        return ""

    async def _wait_for_container(
        self, spec: ContainerSpec, constraints: tuple[str, ...], service_id: str
    ) -> TaskLocation:
        """Return where the container is; a service whose node went down is created again once."""
        for _ in range(2):
            found = await self._task_watch.wait_for_container(
                spec.name, service_id, PLACEMENT_TIMEOUT
            )
            if isinstance(found, TaskLocation):
                # Its node has just reported that it has started it, so it is up.
                self._locations.add(found)
                return found
            if found is None or not await self._is_lost(found):
                return self._locations.add_task(await self._require_container(spec, found))
            # Swarm never moves a job's task off a node that went down.
            service_id = await self._recreate_service(spec, constraints)
        raise NotPlaced("Waiting for a node: those that were found went down.")

    async def _require_container(self, spec: ContainerSpec, task: Task | None) -> Task:
        """Return the task if it has a container; `NotPlaced` if it may still get one."""
        if task is not None and task.container_id is not None:
            return task
        if task is not None and task.has_ended:
            if _TAKEN_BACK in task.error:
                await self._nodes.call_manager(lambda manager: manager.remove_service(spec.name))
                raise NotPlaced("Waiting for a node: the one that was found has no room any more.")
            raise tasks.task_error(task)
        details = _requirements_text(spec, task) + await self._endpoints_text(spec, task)
        raise NotPlaced(tasks.waiting_text(task) + details)

    async def _endpoints_text(self, spec: ContainerSpec, task: Task | None) -> str:
        """Say which nodes are left out for want of an endpoint."""
        unreachable = await self._nodes.nodes_without_endpoint() if spec.transfers else {}
        names = sorted(unreachable.values())
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
        return await self._nodes.seconds_down(task.node_id) is not None


def _requirements_text(spec: ContainerSpec, task: Task | None) -> str:
    """Say what the job asks for, where no node has it."""
    if task is None or not task.error:
        return ""
    required = [f"cpus {spec.limits.cpus:g}", f"memory {size_text(spec.limits.memory)}"]
    required += [f"gpus {spec.gpus}"] if spec.gpus else []
    required += [f"constraint {each}" for each in spec.constraints]
    return f" The job asks for {', '.join(required)}."


POLL_INTERVAL, POLL_INTERVAL_WITH_EVENTS = 0.05, 0.5
"""Seconds between two polls of the manager, which has no events of tasks; nodes have some."""


class _Waiter(msgspec.Struct, eq=False):
    accept: Callable[[Task], bool]
    service_id: str
    future: asyncio.Future[Task | TaskLocation]
    last_task: Task | None = None


class TaskWatch:
    """Waits for states of services' tasks; polls the manager while anybody waits."""

    def __init__(self, nodes: Nodes, started_containers: StartedContainers) -> None:
        self._nodes = nodes
        self._started_containers = started_containers
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._poll_task: asyncio.Task[None] | None = None
        started_containers.subscribe(self._resolve_started)

    async def wait_for(
        self, service: str, accept: Callable[[Task], bool], seconds: float
    ) -> tuple[bool, Task | None]:
        """Wait until a service's newest task is accepted.

        Returns
        -------
        tuple
            Whether it was in time, and the task as the manager had it last.
        """
        found = await self._wait(service, "", accept, seconds)
        task = found if isinstance(found, Task) else None
        return task is not None and accept(task), task

    async def wait_for_container(
        self, service: str, service_id: str, seconds: float
    ) -> Task | TaskLocation | None:
        """Wait until a service's newest task has a container or has ended.

        Parameters
        ----------
        service_id
            Empty where it is not known; then a node's report of the start does not end the wait.

        Returns
        -------
        Task, TaskLocation or None
            The task, or where a node has reported its start; the task as the manager had it last
            if it did not come to that in time.
        """
        if (location := self._started_containers.find_service(service_id)) is not None:
            return location
        return await self._wait(service, service_id, _has_container_or_ended, seconds)

    async def _wait(
        self, service: str, service_id: str, accept: Callable[[Task], bool], seconds: float
    ) -> Task | TaskLocation | None:
        waiter = _Waiter(accept, service_id, asyncio.get_running_loop().create_future())
        self._waiters[service].add(waiter)
        if self._poll_task is None or self._poll_task.done():
            self._poll_task = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(seconds):
                return await waiter.future
        except TimeoutError:
            return waiter.last_task
        finally:
            self._waiters[service].discard(waiter)
            if not self._waiters[service]:
                del self._waiters[service]

    def _resolve_started(self, location: TaskLocation) -> None:
        for waiter in self._waiters.get(location.service, ()):
            is_its = waiter.service_id and waiter.service_id == location.service_id
            if is_its and not waiter.future.done():
                waiter.future.set_result(location)

    async def _poll(self) -> None:
        while self._waiters:
            has_events = self._started_containers.are_connected(self._nodes.endpoints)
            await asyncio.sleep(POLL_INTERVAL_WITH_EVENTS if has_events else POLL_INTERVAL)
            service_names = list(self._waiters)
            if not service_names:
                return
            try:
                self._resolve(service_names, await self._list_tasks(service_names))
            except ContainerNotFound:
                # One that is gone makes the manager refuse the whole request.
                await asyncio.gather(*map(self._poll_service, service_names))
            except NdsError as exc:
                self._fail(service_names, exc)

    async def _poll_service(self, service: str) -> None:
        try:
            self._resolve([service], await self._list_tasks([service]))
        except NdsError as exc:
            self._fail([service], exc)

    async def _list_tasks(self, service_names: list[str]) -> tuple[Task, ...]:
        return await self._nodes.call_manager(
            lambda manager: manager.tasks({"service": service_names})
        )

    def _resolve(self, service_names: list[str], listed: tuple[Task, ...]) -> None:
        by_service: defaultdict[str, list[Task]] = defaultdict(list)
        for task in listed:
            by_service[container_name(task.job_id)].append(task)
        for service in service_names:
            newest = newest_task(by_service[service])
            for waiter in self._waiters.get(service, ()):
                waiter.last_task = newest or waiter.last_task
                if newest is not None and not waiter.future.done() and waiter.accept(newest):
                    waiter.future.set_result(newest)

    def _fail(self, service_names: list[str], exc: NdsError) -> None:
        for service in service_names:
            for waiter in self._waiters.get(service, ()):
                if not waiter.future.done():
                    waiter.future.set_exception(exc)

    async def close(self) -> None:
        """Stop polling."""
        if self._poll_task is not None:
            self._poll_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poll_task


def _has_container_or_ended(task: Task) -> bool:
    return task.container_id is not None or task.has_ended
