"""Logs of containers: from their node, through the manager, or from the archive of removed ones.

Where a node has no endpoint, the manager can stop a container only by removing its service, and the
log goes with that. So the log is read before, and archived as a Swarm config, which is there for
another server and after a crash too. What a script writes when it is told to end is not in it: a
manager gives no log of a task it removes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterable

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, MAX_CONFIG_BYTES, LogChunk, LogRequest, LogStream
from nds_jupyter.engines.swarm.node_engine import LABEL_LOG, NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.service_specs import job_labels
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.errors import ContainerNotFound, NdsError, NoEndpoint

ARCHIVE_TIMEOUT = 10.0
"""Seconds for reading a log to archive it: a stop does not wait longer for it."""


class ArchivedLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of a log, with its end."""

    stream: LogStream
    time: str
    text: bytes


class ContainerLogs:
    """Reads logs, and archives those of containers that are about to be removed."""

    def __init__(self, nodes: Nodes, locations: TaskLocations) -> None:
        self._nodes = nodes
        self._locations = locations

    async def read(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log: from the node, through the manager, or from the archive."""
        try:
            location = await self._locations.find(container_id)
        except ContainerNotFound:
            for chunk in await self._read_archived(container_id, request):
                yield chunk
            return
        async with contextlib.aclosing(await self._open(location, request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _open(
        self, location: TaskLocation, request: LogRequest
    ) -> AsyncGenerator[LogChunk, None]:
        try:
            engine = await self._locations.engine_at(location)
        except NoEndpoint:
            return await self._open_by_manager(location, request)
        return engine.logs(location.container_id, request)

    async def _open_by_manager(
        self, location: TaskLocation, request: LogRequest
    ) -> AsyncGenerator[LogChunk, None]:
        async def call(manager: NodeEngine) -> AsyncGenerator[LogChunk, None]:
            return manager.task_logs(location.task_id, request)

        return await self._nodes.call_manager(call)

    async def archive(self, location: TaskLocation) -> None:
        """Archive the end of a log that goes with its service."""
        task = await self._locations.find_task(location.service)
        lines = await self._read_end(location)
        if task is None or not lines:
            return
        name = f"{location.service}-log-{location.container_id[:12]}"
        labels = {**job_labels(task.labels), LABEL_LOG: location.container_id}
        content = msgspec.json.encode(lines)
        await self._nodes.call_manager(lambda manager: manager.create_config(name, content, labels))

    async def _read_end(self, location: TaskLocation) -> list[ArchivedLine]:
        """Return the end of a log as far as it comes in time."""
        lines: deque[ArchivedLine] = deque()
        size = 0
        with contextlib.suppress(TimeoutError, NdsError):
            async with asyncio.timeout(ARCHIVE_TIMEOUT):
                log = await self._open_by_manager(location, LogRequest(timestamps=True))
                async with contextlib.aclosing(log) as chunks:
                    async for chunk in chunks:
                        for line in _split_lines(chunk):
                            lines.append(line)
                            size += _encoded_size(line)
                        while size > MAX_CONFIG_BYTES:
                            size -= _encoded_size(lines.popleft())
        return list(lines)

    async def _read_archived(self, container_id: str, request: LogRequest) -> list[LogChunk]:
        """Return what was archived of a container's log.

        Raises
        ------
        ContainerNotFound
            If nothing was.
        """
        labels = [f"{LABEL_LOG}={container_id}"]
        found = await self._nodes.call_manager(lambda manager: manager.configs(labels))
        if not found:
            raise ContainerNotFound(f"The container {container_id[:12]} does not exist.")
        content = await self._nodes.call_manager(lambda manager: manager.config_data(found[0].id))
        return select_lines(msgspec.json.decode(content, type=list[ArchivedLine]), request)

    async def remove_archived(self, container: str) -> None:
        """Remove the archived log of a container, by its id or its job's name."""
        job_id = container.removeprefix("nds-")
        is_id = job_id == container
        labels = [f"{LABEL_LOG}={container}"] if is_id else [LABEL_LOG, f"{LABEL_JOB}={job_id}"]
        for each in await self._nodes.call_manager(lambda manager: manager.configs(labels)):
            await self._remove_config(each.id)

    async def _remove_config(self, config_id: str) -> None:
        await self._nodes.call_manager(lambda manager: manager.remove_config(config_id))


def _encoded_size(line: ArchivedLine) -> int:
    # As JSON: bytes as base64, and what is around them.
    return len(line.text) * 4 // 3 + len(line.time) + 24


def _split_lines(chunk: LogChunk) -> Iterable[ArchivedLine]:
    for line in chunk.data.splitlines(keepends=True):
        time, _, text = line.partition(b" ")
        yield ArchivedLine(stream=chunk.stream, time=time.decode("ascii", "replace"), text=text)


def select_lines(lines: Iterable[ArchivedLine], request: LogRequest) -> list[LogChunk]:
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
