"""Lists of a Swarm are its engines' own, though only what has changed is fetched again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from dev.swarm import Swarm
from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, ContainerSummary
from nds_jupyter.engines.swarm import node_cache
from nds_jupyter.engines.swarm.engine import SwarmSettings
from nds_jupyter.engines.swarm.node_cache import CachedNodeEngine
from tests.engine.proxy import EngineProxy
from tests.swarm.conftest import OpenHarness, RunnerHarness, wait_for

pytestmark = pytest.mark.swarm

ADA = {LABEL_JOB: "", LABEL_OWNER: "ada"}
STRANGE = {LABEL_JOB: "made by somebody else", LABEL_OWNER: "ada"}


class Fetches:
    """What was fetched of the list of a node's engine."""

    def __init__(self) -> None:
        self.by_id: list[bool] = []

    def are_by_id(self) -> bool:
        """Whether only rows by their ids were fetched lately."""
        return len(self.by_id) > 3 and all(self.by_id[-3:])


@pytest.fixture
def node2(clean_swarm: Swarm, tmp_path: Path) -> Iterator[EngineProxy]:
    """Give a proxy in front of the engine of node 2."""
    engine = Path(clean_swarm.nodes[1].endpoint.url.removeprefix("unix://"))
    with EngineProxy(tmp_path / "node2.sock", engine).serving() as proxy:
        yield proxy


@pytest.fixture
def settings(clean_swarm: Swarm, node2: EngineProxy) -> SwarmSettings:
    first, _, third = clean_swarm.endpoints
    return SwarmSettings(endpoints=(first, node2.url, third), node_deadline=3.0, lost_after=60.0)


@pytest.fixture
def fetches(node2: EngineProxy, monkeypatch: pytest.MonkeyPatch) -> Fetches:
    """Give what is fetched from node 2; nothing is fetched because time has passed."""
    made, really = Fetches(), CachedNodeEngine._fetch_rows

    async def recorded(self: CachedNodeEngine, filters: Any) -> Any:
        if self.address == node2.url:
            made.by_id.append("id" in filters)
        return await really(self, filters)

    monkeypatch.setattr(CachedNodeEngine, "_fetch_rows", recorded)
    monkeypatch.setattr(node_cache, "MAX_AGE", 3600.0)
    return made


@pytest.fixture
def somebody(clean_swarm: Swarm) -> Iterator[docker.APIClient]:
    """Give somebody else, who works on node 2."""
    client = docker.APIClient(clean_swarm.nodes[1].endpoint.url, timeout=60)
    yield client
    client.close()


async def list_ada(harness: RunnerHarness) -> tuple[ContainerSummary, ...]:
    return await harness.engine.containers(ADA, include_ended=True)


def seen(rows: tuple[ContainerSummary, ...]) -> list[tuple[str, str, str]]:
    return [(row.name, row.state.value, row.worker) for row in rows]


@asynccontextmanager
async def cached_harness(
    open_harness: OpenHarness,
    fetches: Fetches,
) -> AsyncIterator[RunnerHarness]:
    """Give a runner that fetches single rows only from node 2 by now."""
    async with open_harness() as harness:
        await until_cached(harness, fetches)
        yield harness


async def until_cached(harness: RunnerHarness, fetches: Fetches) -> None:
    async def is_cached() -> bool:
        await list_ada(harness)
        return fetches.are_by_id()

    await wait_for(is_cached, "lists that ask for what has changed alone")


async def shows(harness: RunnerHarness, *rows: tuple[str, str]) -> None:
    expected = [(*row, "node2") for row in rows]

    async def is_so() -> bool:
        return seen(await list_ada(harness)) == expected

    await wait_for(is_so, f"a list of {expected}")


def made(somebody: docker.APIClient, name: str) -> str:
    """Have somebody make a container."""
    config = somebody.create_container(
        "nds/shell:test", ["sleep", "600"], name=name, labels=STRANGE, stop_signal="SIGKILL"
    )
    return str(config["Id"])


async def test_what_somebody_else_does_on_a_node_is_seen(
    open_harness: OpenHarness,
    fetches: Fetches,
    somebody: docker.APIClient,
) -> None:
    async with cached_harness(open_harness, fetches) as harness:
        asked = len(fetches.by_id)
        there = await asyncio.to_thread(made, somebody, "strange")
        await shows(harness, ("strange", "created"))
        for act, row in (
            (somebody.start, ("strange", "running")),
            (somebody.pause, ("strange", "paused")),
            (somebody.unpause, ("strange", "running")),
            (lambda each: somebody.rename(each, "stranger"), ("stranger", "running")),
            (somebody.stop, ("stranger", "exited")),
            (somebody.restart, ("stranger", "running")),
            (somebody.kill, ("stranger", "exited")),
        ):
            await asyncio.to_thread(act, there)
            await shows(harness, row)
        await asyncio.to_thread(somebody.remove_container, there)
        await shows(harness)
        # All of it became known by events.
        assert all(fetches.by_id[asked:])


async def test_lost_stream_is_no_old_list(
    open_harness: OpenHarness,
    node2: EngineProxy,
    fetches: Fetches,
    somebody: docker.APIClient,
) -> None:
    async with cached_harness(open_harness, fetches) as harness:
        node2.hold_request("^GET .*/events")
        node2.cut()
        there = await asyncio.to_thread(made, somebody, "silent")
        await shows(harness, ("silent", "created"))
        await asyncio.to_thread(somebody.rename, there, "silent-too")
        await shows(harness, ("silent-too", "created"))
        await asyncio.to_thread(somebody.remove_container, there)
        node2.release()
        await until_cached(harness, fetches)
        assert seen(await list_ada(harness)) == []
        await asyncio.to_thread(made, somebody, "loud")
        await shows(harness, ("loud", "created"))


async def test_node_whose_engine_is_stopped_is_named(
    open_harness: OpenHarness,
    clean_swarm: Swarm,
    fetches: Fetches,
) -> None:
    async with cached_harness(open_harness, fetches) as harness:
        job = await harness.wait_for_start(
            await harness.submit("sleep 600", constraints=("node.hostname==node2",))
        )
        assert [row.id for row in await list_ada(harness)] == [job.container_id]
        await asyncio.to_thread(clean_swarm.nodes[1].stop)
        try:
            (row,) = await list_ada(harness)
            assert (row.name, row.worker) == (f"nds-{job.job_id}", "node2")
            assert "node2 does not answer" in row.status
        finally:
            await asyncio.to_thread(clean_swarm.nodes[1].start)

        async def is_back() -> bool:
            return all("does not answer" not in row.status for row in await list_ada(harness))

        await wait_for(is_back, "the list of a node that is back")


async def test_what_is_stopped_here_is_seen_to_end(
    open_harness: OpenHarness,
    fetches: Fetches,
) -> None:
    async with cached_harness(open_harness, fetches) as harness:
        job = await harness.wait_for_start(
            await harness.submit("sleep 600", constraints=("node.hostname==node2",))
        )
        await harness.runner.stop(job, 0)
        await shows(harness, (f"nds-{job.job_id}", "exited"))
        assert all(fetches.by_id[-3:])
