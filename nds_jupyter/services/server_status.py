"""Status of the server: health of its parts, and load of its engine."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable

import msgspec

from nds_jupyter._version import __version__
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.engines.base import Engine, EngineInfo
from nds_jupyter.engines.cluster import NodeReport, SupportsNodeReports
from nds_jupyter.errors import DataLoginRequired, Forbidden, NdsError
from nds_jupyter.jobs.job import Phase
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import HealthView, LoadView, NodeHealth, PartHealth
from nds_jupyter.runner import JobRunner

CHECK_DEADLINE = 5.0
"""Seconds for the health check of each part."""


class HealthChecks:
    """Health checks of the engine, the journal and the data root."""

    def __init__(self, engine: Engine, journal: JournalThread, data_roots: DataRoots) -> None:
        self._engine = engine
        self._journal = journal
        self._data_roots = data_roots

    async def check(self, owner: str) -> HealthView:
        """Return the health of each part, of the data root as an owner reaches it."""
        engine, journal, data, nodes, disk_free = await asyncio.gather(
            _check_part(self._fetch_engine_version),
            _check_part(self._check_journal),
            _check_part(lambda: self._fetch_data_version(owner)),
            self._check_nodes(),
            self._find_disk_free(),
        )
        return HealthView(
            version=__version__,
            engine=engine,
            journal=journal,
            catalogue=data,
            nodes=nodes,
            disk_free=disk_free,
        )

    async def _find_disk_free(self) -> int | None:
        with contextlib.suppress(OSError, NdsError, TimeoutError):
            async with asyncio.timeout(CHECK_DEADLINE):
                return await self._journal.call(Journal.disk_free)
        return None

    async def _check_nodes(self) -> tuple[NodeHealth, ...]:
        """Return the health of each node of a Swarm; none for one engine."""
        if not isinstance(self._engine, SupportsNodeReports):
            return ()
        reports: tuple[NodeReport, ...] = ()
        with contextlib.suppress(NdsError, TimeoutError):
            async with asyncio.timeout(CHECK_DEADLINE):
                reports = await self._engine.nodes()
        return msgspec.convert(reports, tuple[NodeHealth, ...], from_attributes=True)

    async def _fetch_engine_version(self) -> str:
        info = await self._engine.info()
        return f"{info.version} (API {info.api_version})"

    async def _fetch_data_version(self, owner: str) -> str:
        return await (await self._data_roots.for_owner(owner)).version()

    async def _check_journal(self) -> str:
        await self._journal.call(Journal.unfinished)
        return sqlite3.sqlite_version


async def _check_part(ask: Callable[[], Awaitable[str]]) -> PartHealth:
    began = time.monotonic()
    version, message = "", ""
    try:
        async with asyncio.timeout(CHECK_DEADLINE):
            version = await ask()
    except TimeoutError:
        message = f"It has not answered in {CHECK_DEADLINE:g} s."
    except (DataLoginRequired, Forbidden) as exc:
        # The part works, and only not for who asks.
        return PartHealth(
            reachable=True,
            version="",
            latency=round(time.monotonic() - began, 4),
            message=exc.message,
        )
    except NdsError as exc:
        message = exc.message
    return PartHealth(
        reachable=not message,
        version=version,
        latency=round(time.monotonic() - began, 4),
        message=message,
    )


ENGINE_INFO_TTL = 15.0
"""Seconds for which the engine's description is cached, also that there was no answer."""

ENGINE_INFO_DEADLINE = 3.0
"""Seconds for the engine's description."""


class EngineLoad:
    """Load of the engine, as one owner sees it.

    Parameters
    ----------
    runner
        Has the unfinished jobs and what they use.
    engine
        Says how many CPUs and how much memory it has; the answer is cached.
    """

    def __init__(self, runner: JobRunner, engine: Engine) -> None:
        self._runner = runner
        self._engine = engine
        self._info: EngineInfo | None = None
        self._fetched_at = float("-inf")

    async def measure(self, owner: str) -> LoadView:
        """Return the owner's jobs that run and wait, and what all jobs of this server use."""
        info = await self._fetch_engine_info()
        jobs = [job for job in self._runner.unfinished() if job.owner == owner]
        queued = sum(job.phase is Phase.ACCEPTED for job in jobs)
        samples = self._runner.latest_samples()
        return LoadView(
            running=len(jobs) - queued,
            queued=queued,
            places=self._runner.slot_limit,
            cpus=None if info is None else info.cpus,
            memory=None if info is None else info.memory,
            cpu_percent=round(sum(sample.cpu_percent for sample in samples), 1),
            memory_usage=sum(sample.memory_usage for sample in samples),
        )

    async def _fetch_engine_info(self) -> EngineInfo | None:
        now = asyncio.get_running_loop().time()
        if now - self._fetched_at >= ENGINE_INFO_TTL:
            # Set before the call, so that many who ask at once cause one call.
            self._fetched_at = now
            try:
                async with asyncio.timeout(ENGINE_INFO_DEADLINE):
                    self._info = await self._engine.info()
            except (NdsError, TimeoutError):
                self._info = None
        return self._info
