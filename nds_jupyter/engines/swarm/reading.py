"""Reads what containers write: logs and files, wherever they are."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from nds_jupyter.engines.base import LogChunk, LogRequest
from nds_jupyter.engines.swarm.inspection import Inspection
from nds_jupyter.engines.swarm.kept_logs import KeptLogs, log_by_manager
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.whereabouts import Place, Whereabouts
from nds_jupyter.errors import ContainerNotFound, DeadlineExceeded, EngineUnavailable, NoEndpoint


class Reading:
    """Streams of a Swarm's containers."""

    def __init__(
        self, nodes: Nodes, where: Whereabouts, inspection: Inspection, kept: KeptLogs
    ) -> None:
        self._nodes = nodes
        self._where = where
        self._inspection = inspection
        self._kept = kept

    async def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log: from the node, through the manager, or what was kept of it."""
        try:
            place = await self._where.find(container_id)
        except ContainerNotFound:
            for chunk in await self._kept.read(container_id, request):
                yield chunk
            return
        async with contextlib.aclosing(await self._log_of(place, request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _log_of(self, place: Place, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        try:
            return (await self._where.engine_of(place)).logs(place.container_id, request)
        except NoEndpoint:
            return await log_by_manager(self._nodes, place, request)

    async def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream; `NodeLost` if its node will not be back soon."""
        place = await self._where.find(container_id)
        engine = await self._where.engine_of(place)
        try:
            async with contextlib.aclosing(engine.archive(place.container_id, path)) as parts:
                async for part in parts:
                    yield part
        except (EngineUnavailable, DeadlineExceeded):
            await self._inspection.refuse_lost_files(place)
            raise
