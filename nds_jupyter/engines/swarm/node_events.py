"""Merged event stream of all nodes and the manager, and the container starts seen in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from nds_jupyter.engines.base import LABEL_JOB, EngineEvent
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.task_locations import TaskLocation
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.job import container_name, utc_now

MAX_STARTS = 5000
"""Starts that are remembered: a caller may wait for one after its event came."""

POLL_INTERVAL = 2.0
"""Seconds between two polls of the manager, which has no events of tasks."""

EventQueue = asyncio.Queue[EngineEvent]


class StartedContainers:
    """Registry of the containers that nodes reported to have started, with subscribers.

    The manager learns of a container by reports that its nodes send in batches; the node's own
    engine sends an event at once.

    Parameters
    ----------
    on_event
        Called at each event of a node.
    """

    def __init__(self, on_event: Callable[[], None]) -> None:
        self._on_event = on_event
        self._connected: set[NodeEngine] = set()
        self._by_service: dict[str, TaskLocation] = {}
        self._container_ids: dict[str, None] = {}
        self._subscribers: list[Callable[[TaskLocation], None]] = []

    def subscribe(self, callback: Callable[[TaskLocation], None]) -> None:
        """Call back at every start from now on."""
        self._subscribers.append(callback)

    def record_event(self, engine: NodeEngine, event: EngineEvent) -> None:
        """Record an event of a node."""
        self._on_event()
        if event.action == "connected":
            self._connected.add(engine)
        if event.action != "start" or event.task is None:
            return
        location = TaskLocation(
            service=container_name(event.job_id),
            service_id=event.task.service_id,
            container_id=event.container_id,
            task_id=event.task.task_id,
            node_id=event.task.node_id,
        )
        self._by_service[location.service_id] = location
        self._container_ids[location.container_id] = None
        for starts in (self._by_service, self._container_ids):
            while len(starts) > MAX_STARTS:
                del starts[next(iter(starts))]
        for callback in self._subscribers:
            callback(location)

    def set_disconnected(self) -> None:
        """Record that the events of no node are read any more."""
        self._connected.clear()

    def are_connected(self, engines: tuple[NodeEngine, ...]) -> bool:
        """Tell whether the events of all these are read."""
        return self._connected.issuperset(engines)

    def find_service(self, service_id: str) -> TaskLocation | None:
        """Return where a service's container has started, if it has."""
        return self._by_service.get(service_id)

    def has_started(self, container_id: str) -> bool:
        """Tell whether a start of a container was reported."""
        return container_id in self._container_ids


async def merged_events(
    nodes: Nodes, started_containers: StartedContainers
) -> AsyncGenerator[EngineEvent, None]:
    """Watch containers of jobs on all nodes for ever.

    Parameters
    ----------
    started_containers
        Records the events before anybody else gets them.
    """
    queue: EventQueue = asyncio.Queue()
    watchers = [
        asyncio.create_task(_watch_node(engine, queue, started_containers))
        for engine in nodes.endpoints
    ]
    watchers.append(asyncio.create_task(_watch_manager(nodes, queue)))
    try:
        while True:
            yield await queue.get()
    finally:
        started_containers.set_disconnected()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


async def _watch_node(
    engine: NodeEngine, queue: EventQueue, started_containers: StartedContainers
) -> None:
    async with contextlib.aclosing(engine.events()) as events:
        async for event in events:
            started_containers.record_event(engine, event)
            await queue.put(event)


async def _watch_manager(nodes: Nodes, queue: EventQueue) -> None:
    """Report ends on nodes without an endpoint; `connected` when a node or the manager changes."""
    states_before: object = None
    ended_before: frozenset[str] = frozenset()
    while True:
        try:
            states = {node.id: node.state for node in (await nodes.nodes_by_id()).values()}
            tasks = await _tasks_without_events(nodes, set(states))
        except NdsError:
            states_before = None
        else:
            ended = frozenset(task.id for task in tasks if task.has_ended)
            for task in tasks:
                if task.id in ended - ended_before:
                    await queue.put(_make_event("die", task.container_id or "", task.job_id))
            ended_before = ended
            if states != states_before:
                await queue.put(_make_event("connected", "", ""))
            states_before = states
        await asyncio.sleep(POLL_INTERVAL)


async def _tasks_without_events(nodes: Nodes, node_ids: set[str]) -> tuple[Task, ...]:
    """Return the tasks on nodes that have no endpoint, and so send no events."""
    unreachable = {node_id for node_id in node_ids if await nodes.find_engine(node_id) is None}
    if not unreachable:
        return ()
    tasks = await nodes.call_manager(lambda manager: manager.tasks({"label": [LABEL_JOB]}))
    return tuple(task for task in tasks if task.node_id in unreachable)


def _make_event(action: str, container_id: str, job_id: str) -> EngineEvent:
    return EngineEvent(action=action, container_id=container_id, job_id=job_id, at=utc_now())
