"""Merged event stream of all nodes and the manager, and the containers seen to start."""

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

KEPT = 5000
"""Starts that are remembered: what starts may be asked for after it was heard."""


class StartedContainers:
    """Remembers starts, and tells who waits for one.

    The manager learns of a container by reports that its nodes send in batches; the node's own
    engine tells at once.

    Parameters
    ----------
    changed
        Called whenever anything is heard.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._hears: set[NodeEngine] = set()
        self._started: dict[str, TaskLocation] = {}
        self._containers: dict[str, None] = {}
        self._tell: list[Callable[[TaskLocation], None]] = []

    def listen(self, tell: Callable[[TaskLocation], None]) -> None:
        """Tell somebody of every start from now on."""
        self._tell.append(tell)

    def hear(self, engine: NodeEngine, event: EngineEvent) -> None:
        """Take note of an event of a node."""
        self._changed()
        if event.action == "connected":
            self._hears.add(engine)
        if event.action != "start" or event.task is None:
            return
        place = TaskLocation(
            service=container_name(event.job_id),
            service_id=event.task.service_id,
            container_id=event.container_id,
            task_id=event.task.task_id,
            node_id=event.task.node_id,
        )
        self._started[place.service_id] = place
        self._containers[place.container_id] = None
        for known in (self._started, self._containers):
            while len(known) > KEPT:
                del known[next(iter(known))]
        for tell in self._tell:
            tell(place)

    def hears_no_more(self) -> None:
        """Take note that nobody listens to the nodes any more."""
        self._hears.clear()

    def hears(self, engines: tuple[NodeEngine, ...]) -> bool:
        """Tell whether all these have been listened to."""
        return self._hears.issuperset(engines)

    def of_service(self, service_id: str) -> TaskLocation | None:
        """Return where a service was heard to start."""
        return self._started.get(service_id)

    def has_started(self, container_id: str) -> bool:
        """Tell whether a container was heard to start."""
        return container_id in self._containers


EVERY = 2.0
"""Seconds between two looks at the nodes; the manager's events tell nothing of tasks."""

Queue = asyncio.Queue[EngineEvent]


async def merged_events(
    nodes: Nodes, arrivals: StartedContainers
) -> AsyncGenerator[EngineEvent, None]:
    """Watch containers of jobs on all nodes for ever.

    Parameters
    ----------
    arrivals
        Told of what the nodes start before anybody else is.
    """
    queue: Queue = asyncio.Queue()
    watchers = [
        asyncio.create_task(_watch_node(engine, queue, arrivals)) for engine in nodes.endpoints
    ]
    watchers.append(asyncio.create_task(_watch_manager(nodes, queue)))
    try:
        while True:
            yield await queue.get()
    finally:
        arrivals.hears_no_more()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


async def _watch_node(engine: NodeEngine, queue: Queue, arrivals: StartedContainers) -> None:
    async with contextlib.aclosing(engine.events()) as events:
        async for event in events:
            arrivals.hear(engine, event)
            await queue.put(event)


async def _watch_manager(nodes: Nodes, queue: Queue) -> None:
    """Have everything looked at when a node comes or goes, or the manager was away."""
    before: object = None
    ended: frozenset[str] = frozenset()
    while True:
        try:
            states = {node.id: node.state for node in (await nodes.known()).values()}
            tasks = await _tasks_nobody_tells_of(nodes, set(states))
        except NdsError:
            before = None
        else:
            now = frozenset(task.id for task in tasks if task.has_ended)
            for task in tasks:
                if task.id in now - ended:
                    await queue.put(_event("die", task.container_id or "", task.job_id))
            ended = now
            if states != before:
                await queue.put(_event("connected", "", ""))
            before = states
        await asyncio.sleep(EVERY)


async def _tasks_nobody_tells_of(nodes: Nodes, node_ids: set[str]) -> tuple[Task, ...]:
    deaf = {node_id for node_id in node_ids if await nodes.engine_of(node_id) is None}
    if not deaf:
        return ()
    tasks = await nodes.ask_manager(lambda manager: manager.tasks({"label": [LABEL_JOB]}))
    return tuple(task for task in tasks if task.node_id in deaf)


def _event(action: str, container_id: str, job_id: str) -> EngineEvent:
    return EngineEvent(action=action, container_id=container_id, job_id=job_id, at=utc_now())
