"""Events of all nodes as one stream, with what only the manager sees."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from nds_jupyter.engines.base import LABEL_JOB, EngineEvent
from nds_jupyter.engines.swarm.arrivals import Arrivals
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs import utc_now

EVERY = 2.0
"""Seconds between two looks at the nodes; the manager's events tell nothing of tasks."""

Queue = asyncio.Queue[EngineEvent]


async def merged_events(nodes: Nodes, arrivals: Arrivals) -> AsyncGenerator[EngineEvent, None]:
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


async def _watch_node(engine: NodeEngine, queue: Queue, arrivals: Arrivals) -> None:
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
