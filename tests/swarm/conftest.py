"""A runner on the Swarm of `tests.swarm.cluster`, for tests of jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from dev.processes import wait_until
from dev.swarm import Swarm
from nds_jupyter.engines.base import LogRequest
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.jobs.job import Job, JobSpec, Limits
from nds_jupyter.jobs.script import inspect_script
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.swarm.cluster import DEADLINE


@pytest.fixture
def settings(clean_swarm: Swarm) -> SwarmSettings:
    # On a loaded machine a node may be late with its signs of life, and is not lost then.
    return SwarmSettings(endpoints=tuple(clean_swarm.endpoints), node_deadline=3.0, lost_after=60.0)


class RunnerHarness:
    """Runner on the Swarm, with what tests do with its jobs."""

    def __init__(self, runner: JobRunner, engine: SwarmEngine) -> None:
        self.runner = runner
        self.engine = engine

    async def submit(self, script: str, *, memory: int = 32 << 20, **fields: Any) -> Job:
        job, _ = await self.runner.submit("ada", spec(script, memory, **fields), script.encode())
        return job

    async def until(self, job: Job, reached: Callable[[Job], bool]) -> Job:
        seen = job
        try:
            async with asyncio.timeout(DEADLINE):
                return await self.runner.wait_until(job.job_id, reached)
        except TimeoutError:
            seen = await self.runner.find_job(job.job_id)
            pytest.fail(f"waited in vain; last seen: {seen}")

    async def wait_for_end(self, job: Job) -> Job:
        return await self.until(job, lambda job: job.is_finished)

    async def wait_for_start(self, job: Job) -> Job:
        return await self.until(job, lambda job: job.started is not None)

    async def read_log(self, job: Job) -> str:
        assert job.container_id is not None
        chunks = self.engine.logs(job.container_id, LogRequest())
        return b"".join([chunk.data async for chunk in chunks]).decode()


def spec(script: str, memory: int = 32 << 20, **fields: Any) -> JobSpec:
    digest, shebang = inspect_script(script.encode())
    return JobSpec(
        scriptname=fields.pop("scriptname", "job.sh"),
        script_sha256=digest,
        script_shebang=shebang,
        image="nds/shell:test",
        limits=Limits(cpus=0.1, memory=memory, pids=100),
        **fields,
    )


OpenHarness = Callable[..., AbstractAsyncContextManager[RunnerHarness]]


@asynccontextmanager
async def harness_on(settings: SwarmSettings, folder: Path) -> AsyncIterator[RunnerHarness]:
    """Give a runner with the journal in a folder, while the block runs."""
    engine = SwarmEngine(None, settings)
    journal = JournalThread(Journal.open(folder))
    runner = JobRunner(journal, engine, RunnerSettings(), logging.getLogger("nds"))
    await runner.start()
    try:
        yield RunnerHarness(runner, engine)
    finally:
        await runner.close()
        await engine.close()
        journal.close()


@pytest.fixture
def open_harness(settings: SwarmSettings, tmp_path: Path) -> OpenHarness:
    """Give what starts a runner with the journal of this test."""
    return lambda given=settings: harness_on(given, tmp_path / "journal")


async def wait_for(condition: Callable[[], Awaitable[object]], what: str) -> Any:
    """Return the first true value of a condition, asked for until the deadline."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not (seen := await condition()):  # noqa: ASYNC110 - the outside tells nothing
                await asyncio.sleep(0.1)
            return seen
    except TimeoutError:
        pytest.fail(f"waited in vain for {what}")


def all_ready(swarm: Swarm) -> bool:
    client = docker.APIClient(swarm.manager.endpoint.url, timeout=20)
    try:
        return all(node["Status"]["State"] == "ready" for node in client.nodes())
    except (docker.errors.APIError, requests.RequestException):
        return False
    finally:
        client.close()


@pytest.fixture
def node3_dies(clean_swarm: Swarm) -> Iterator[Swarm]:
    """Give the Swarm to a test that kills node 3; it is back for the next one."""
    yield clean_swarm
    clean_swarm.nodes[2].kill()
    clean_swarm.nodes[2].start()
    assert wait_until(lambda: all_ready(clean_swarm), DEADLINE)


@pytest.fixture
def label(clean_swarm: Swarm) -> Iterator[Callable[[int], None]]:
    """Give what labels a node; the labels are gone after the test."""
    client = docker.APIClient(clean_swarm.manager.endpoint.url, timeout=20)
    yield lambda number: change_node(client, f"node{number}", Labels={"here": "yes"})
    for node in clean_swarm.nodes:
        change_node(client, node.name, Labels={})
    client.close()


def change_node(client: docker.APIClient, name: str, **changes: object) -> None:
    (node,) = [each for each in client.nodes() if each["Description"]["Hostname"] == name]
    client.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], **changes})
