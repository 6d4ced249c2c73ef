"""Archive of logs of containers that the manager can stop only by removing them.

Where a node has no endpoint, a task's log goes with its service. So it is read before that is
removed, and kept as a Swarm config, which is there for another server and after a crash too. What a
script writes when it is told to end is not in it: a manager gives no log of a task it removes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterable

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, MOST_CARRIED, LogChunk, LogRequest, LogStream
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.services import OURS
from nds_jupyter.engines.swarm.swarm_objects import LABEL_LOG
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.errors import ContainerNotFound, NdsError

READ_WITHIN = 10.0
"""Seconds for reading a log: a stop does not wait longer for it."""


class ArchivedLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of a log, with its end."""

    stream: LogStream
    time: str
    text: bytes


class LogArchive:
    """Logs that have outlived their containers."""

    def __init__(self, nodes: Nodes, where: TaskLocations) -> None:
        self._nodes = nodes
        self._where = where

    async def keep(self, place: TaskLocation) -> None:
        """Keep the end of a log that its service takes along."""
        task = await self._where.task_of(place.service)
        lines = await self._end_of(place)
        if task is None or not lines:
            return
        whose = {name: task.labels[name] for name in OURS if name in task.labels}
        name = f"{place.service}-log-{place.container_id[:12]}"
        labels, content = {**whose, LABEL_LOG: place.container_id}, msgspec.json.encode(lines)
        await self._nodes.ask_manager(lambda manager: manager.create_config(name, content, labels))

    async def _end_of(self, place: TaskLocation) -> list[ArchivedLine]:
        """Return the end of a log as far as it comes in time."""
        kept: deque[ArchivedLine] = deque()
        size = 0
        with contextlib.suppress(TimeoutError, NdsError):
            async with asyncio.timeout(READ_WITHIN):
                source = await log_by_manager(self._nodes, place, LogRequest(timestamps=True))
                async with contextlib.aclosing(source) as chunks:
                    async for chunk in chunks:
                        for line in _lines(chunk):
                            kept.append(line)
                            size += _size(line)
                        while size > MOST_CARRIED:
                            size -= _size(kept.popleft())
        return list(kept)

    async def read(self, container_id: str, request: LogRequest) -> list[LogChunk]:
        """Return what was kept of a container's log.

        Raises
        ------
        ContainerNotFound
            If nothing was.
        """
        wanted = [f"{LABEL_LOG}={container_id}"]
        found = await self._nodes.ask_manager(lambda manager: manager.configs(wanted))
        if not found:
            raise ContainerNotFound(f"The container {container_id[:12]} does not exist.")
        content = await self._nodes.ask_manager(lambda manager: manager.config_data(found[0].id))
        return chosen(msgspec.json.decode(content, type=list[ArchivedLine]), request)

    async def drop(self, container: str) -> None:
        """Remove what was kept of the log of a container, by its id or its job's name."""
        job_id = container.removeprefix("nds-")
        of_job = [LABEL_LOG, f"{LABEL_JOB}={job_id}"]
        wanted = [f"{LABEL_LOG}={container}"] if job_id == container else of_job
        for each in await self._nodes.ask_manager(lambda manager: manager.configs(wanted)):
            await self._drop(each.id)

    async def _drop(self, config_id: str) -> None:
        await self._nodes.ask_manager(lambda manager: manager.remove_config(config_id))


async def log_by_manager(
    nodes: Nodes, place: TaskLocation, request: LogRequest
) -> AsyncGenerator[LogChunk, None]:
    """Return a log as a manager gives it, from whatever node it is on."""

    async def ask(manager: NodeEngine) -> AsyncGenerator[LogChunk, None]:
        return manager.task_logs(place.task_id, request)

    return await nodes.ask_manager(ask)


def _size(line: ArchivedLine) -> int:
    # As JSON: bytes as base64, and what is around them.
    return len(line.text) * 4 // 3 + len(line.time) + 24


def _lines(chunk: LogChunk) -> Iterable[ArchivedLine]:
    for line in chunk.data.splitlines(keepends=True):
        time, _, text = line.partition(b" ")
        yield ArchivedLine(stream=chunk.stream, time=time.decode("ascii", "replace"), text=text)


def chosen(lines: Iterable[ArchivedLine], request: LogRequest) -> list[LogChunk]:
    """Return what a request wants of a log."""
    since = request.since.strftime("%Y-%m-%dT%H:%M:%S.%f") if request.since else ""
    found = [
        line
        for line in lines
        if line.time >= since and request.stream in {LogStream.BOTH, line.stream}
    ]
    if request.tail is not None:
        found = found[max(0, len(found) - request.tail) :]
    times = [f"{line.time} ".encode() if request.timestamps else b"" for line in found]
    return [
        LogChunk(stream=line.stream, data=time + line.text)
        for line, time in zip(found, times, strict=True)
    ]
