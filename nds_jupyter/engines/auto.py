"""Engine that detects at its first answer whether it is one Docker Engine or a Swarm."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

from nds_jupyter.engines.base import Engine
from nds_jupyter.engines.cluster import FindJobPhases, NodeReport
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.swarm.engine import SwarmEngine
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.errors import NdsError

STREAM_METHODS = frozenset({"archive", "build", "events", "logs", "pull", "run_stager", "stats"})

RETRY_INTERVAL = 2.0
"""Seconds between two attempts while nobody answers and only events are waited for."""


def auto_engine(
    probe: NodeEngine,
    create_docker: Callable[[], DockerEngine],
    create_swarm: Callable[[], SwarmEngine],
) -> Engine:
    """Return an engine that becomes one or the other when `probe` first answers.

    Parameters
    ----------
    probe
        Asked whether it is a manager of a Swarm; closed once it has answered.
    """
    return cast("Engine", _AutoEngine(probe, create_docker, create_swarm))


class _AutoEngine:
    """Proxy of the engine that is created at the first call that can be answered."""

    def __init__(
        self,
        probe: NodeEngine,
        create_docker: Callable[[], DockerEngine],
        create_swarm: Callable[[], SwarmEngine],
    ) -> None:
        self._probe = probe
        self._create_docker = create_docker
        self._create_swarm = create_swarm
        self._detected: DockerEngine | SwarmEngine | None = None
        self._detect_lock = asyncio.Lock()

    async def _detect(self) -> Any:
        async with self._detect_lock:
            if self._detected is None:
                create = self._create_swarm if await self._is_swarm() else self._create_docker
                self._detected = create()
                await self._probe.close()
        return self._detected

    async def _is_swarm(self) -> bool:
        membership = await self._probe.membership()
        if not membership.is_manager:
            return False
        nodes = await self._probe.swarm_nodes()
        return sum(node.active for node in nodes) > 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in STREAM_METHODS:
            return lambda *args: self._stream(name, *args)
        return lambda *args, **kwargs: self._call(name, *args, **kwargs)

    async def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self._detect(), name)(*args, **kwargs)

    async def _stream(self, name: str, *args: Any) -> Any:
        engine = await (self._detect_with_retries() if name == "events" else self._detect())
        async with contextlib.aclosing(getattr(engine, name)(*args)) as items:
            async for item in items:
                yield item

    async def _detect_with_retries(self) -> Any:
        while True:
            try:
                return await self._detect()
            except NdsError:
                await asyncio.sleep(RETRY_INTERVAL)

    async def nodes(self) -> tuple[NodeReport, ...]:
        """Report on the nodes of a Swarm; nothing for one engine."""
        engine = await self._detect()
        return await engine.nodes() if isinstance(engine, SwarmEngine) else ()

    async def remove_leftovers(self, server: str, find_phases: FindJobPhases) -> int:
        """Remove what no job needs beside containers; one engine has nothing of that."""
        engine = await self._detect()
        if not isinstance(engine, SwarmEngine):
            return 0
        return await engine.remove_leftovers(server, find_phases)

    async def close(self) -> None:
        """Close whatever was opened."""
        await (self._detected or self._probe).close()
