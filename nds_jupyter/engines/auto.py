"""Engine that finds out at its first answer whether it is one Docker Engine or a Swarm."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

from nds_jupyter.engines.base import Engine
from nds_jupyter.engines.cluster import Fates, NodeReport
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.swarm import SwarmEngine
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.errors import NdsError

STREAMS = frozenset({"archive", "build", "events", "help", "logs", "pull", "stats"})
RETRY = 2.0
"""Seconds between two questions while nobody answers and only events are waited for."""


def auto_engine(
    probe: NodeEngine, one: Callable[[], DockerEngine], many: Callable[[], SwarmEngine]
) -> Engine:
    """Return an engine that becomes one or the other when `probe` first answers.

    Parameters
    ----------
    probe
        Asked which; closed once it has said so.
    """
    return cast("Engine", _AutoEngine(probe, one, many))


class _AutoEngine:
    """Hands every call on, to the engine that is chosen at the first one that can be answered."""

    def __init__(
        self, probe: NodeEngine, one: Callable[[], DockerEngine], many: Callable[[], SwarmEngine]
    ) -> None:
        self._probe = probe
        self._one = one
        self._many = many
        self._chosen: DockerEngine | SwarmEngine | None = None
        self._choosing = asyncio.Lock()

    async def _engine(self) -> Any:
        async with self._choosing:
            if self._chosen is None:
                self._chosen = self._many() if await self._is_swarm() else self._one()
                await self._probe.close()
        return self._chosen

    async def _is_swarm(self) -> bool:
        membership = await self._probe.membership()
        if not membership.is_manager:
            return False
        nodes = await self._probe.swarm_nodes()
        return sum(node.active for node in nodes) > 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in STREAMS:
            return lambda *args: self._stream(name, *args)
        return lambda *args, **kwargs: self._call(name, *args, **kwargs)

    async def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self._engine(), name)(*args, **kwargs)

    async def _stream(self, name: str, *args: Any) -> Any:
        engine = await (self._until_there() if name == "events" else self._engine())
        async with contextlib.aclosing(getattr(engine, name)(*args)) as items:
            async for item in items:
                yield item

    async def _until_there(self) -> Any:
        while True:
            try:
                return await self._engine()
            except NdsError:
                await asyncio.sleep(RETRY)

    async def nodes(self) -> tuple[NodeReport, ...]:
        """Return what a Swarm says of its nodes; nothing for one engine."""
        engine = await self._engine()
        return await engine.nodes() if isinstance(engine, SwarmEngine) else ()

    async def tidy(self, server: str, fates: Fates) -> int:
        """Remove what no job needs beside containers; one engine has nothing of that."""
        engine = await self._engine()
        return await engine.tidy(server, fates) if isinstance(engine, SwarmEngine) else 0

    async def close(self) -> None:
        """Close whatever was opened."""
        await (self._chosen or self._probe).close()
