"""Health checks of engine, catalogue and journal, each with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable

import msgspec

from nds_jupyter._version import __version__
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.engines.base import Engine
from nds_jupyter.engines.cluster import Cluster, NodeReport
from nds_jupyter.errors import NdsError
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import HealthView, NodeHealth, PartHealth

DEADLINE = 5.0
"""Seconds for each part."""


class HealthChecks:
    """Checks the engine, the journal and the data root."""

    def __init__(self, engine: Engine, journal: JournalThread, data: DataRoot) -> None:
        self._engine = engine
        self._journal = journal
        self._data = data

    async def check(self) -> HealthView:
        """Return what each part says of itself."""
        engine, journal, data, nodes, disk_free = await asyncio.gather(
            _timed(self._engine_version),
            _timed(self._journal_version),
            _timed(self._data.version),
            self._nodes(),
            self._disk_free(),
        )
        return HealthView(
            version=__version__,
            engine=engine,
            journal=journal,
            catalogue=data,
            nodes=nodes,
            disk_free=disk_free,
        )

    async def _disk_free(self) -> int | None:
        with contextlib.suppress(OSError, NdsError, TimeoutError):
            async with asyncio.timeout(DEADLINE):
                return await self._journal.do(Journal.disk_free)
        return None

    async def _nodes(self) -> tuple[NodeHealth, ...]:
        """Look at every node, where there are several and the manager says which."""
        if not isinstance(self._engine, Cluster):
            return ()
        reports: tuple[NodeReport, ...] = ()
        with contextlib.suppress(NdsError, TimeoutError):
            async with asyncio.timeout(DEADLINE):
                reports = await self._engine.nodes()
        return msgspec.convert(reports, tuple[NodeHealth, ...], from_attributes=True)

    async def _engine_version(self) -> str:
        info = await self._engine.info()
        return f"{info.version} (API {info.api_version})"

    async def _journal_version(self) -> str:
        await self._journal.do(Journal.unfinished)
        return sqlite3.sqlite_version


async def _timed(ask: Callable[[], Awaitable[str]]) -> PartHealth:
    began = time.monotonic()
    version, message = "", ""
    try:
        async with asyncio.timeout(DEADLINE):
            version = await ask()
    except TimeoutError:
        message = f"It has not answered in {DEADLINE:g} s."
    except NdsError as exc:
        message = exc.message
    return PartHealth(
        reachable=not message,
        version=version,
        latency=round(time.monotonic() - began, 4),
        message=message,
    )
