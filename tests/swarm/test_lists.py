"""Lists of a Swarm are its engines' own, though only what has changed is asked for again."""

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
from nds_jupyter.engines.swarm import SwarmSettings, node_cache
from nds_jupyter.engines.swarm.node_cache import CachedNodeEngine
from tests.engine.proxy import EngineProxy
from tests.swarm.conftest import Lab, OpenLab, wait_for

pytestmark = pytest.mark.swarm

ADA = {LABEL_JOB: "", LABEL_OWNER: "ada"}
STRANGE = {LABEL_JOB: "made by somebody else", LABEL_OWNER: "ada"}


class Questions:
    """What the node's engine was asked for its list."""

    def __init__(self) -> None:
        self.by_id: list[bool] = []

    def are_few(self) -> bool:
        """Whether only rows by their ids were asked for lately."""
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
def questions(node2: EngineProxy, monkeypatch: pytest.MonkeyPatch) -> Questions:
    """Give what node 2 is asked; nothing is asked for anew because time has passed."""
    made, really = Questions(), CachedNodeEngine._asked

    async def recorded(self: CachedNodeEngine, filters: Any) -> Any:
        if self.address == node2.url:
            made.by_id.append("id" in filters)
        return await really(self, filters)

    monkeypatch.setattr(CachedNodeEngine, "_asked", recorded)
    monkeypatch.setattr(node_cache, "KEPT", 3600.0)
    return made


@pytest.fixture
def somebody(clean_swarm: Swarm) -> Iterator[docker.APIClient]:
    """Give somebody else, who works on node 2."""
    client = docker.APIClient(clean_swarm.nodes[1].endpoint.url, timeout=60)
    yield client
    client.close()


async def told(lab: Lab) -> tuple[ContainerSummary, ...]:
    return await lab.engine.containers(ADA, include_ended=True)


def seen(rows: tuple[ContainerSummary, ...]) -> list[tuple[str, str, str]]:
    return [(row.name, row.state.value, row.worker) for row in rows]


@asynccontextmanager
async def kept(open_lab: OpenLab, questions: Questions) -> AsyncIterator[Lab]:
    """Give a runner that has come to ask node 2 for single rows only."""
    async with open_lab() as lab:
        await until_kept(lab, questions)
        yield lab


async def until_kept(lab: Lab, questions: Questions) -> None:
    async def is_kept() -> bool:
        await told(lab)
        return questions.are_few()

    await wait_for(is_kept, "lists that ask for what has changed alone")


async def shows(lab: Lab, *rows: tuple[str, str]) -> None:
    expected = [(*row, "node2") for row in rows]

    async def is_so() -> bool:
        return seen(await told(lab)) == expected

    await wait_for(is_so, f"a list of {expected}")


def made(somebody: docker.APIClient, name: str) -> str:
    """Have somebody make a container."""
    config = somebody.create_container(
        "nds/shell:test", ["sleep", "600"], name=name, labels=STRANGE, stop_signal="SIGKILL"
    )
    return str(config["Id"])


async def test_what_somebody_else_does_on_a_node_is_seen(
    open_lab: OpenLab, questions: Questions, somebody: docker.APIClient
) -> None:
    async with kept(open_lab, questions) as lab:
        asked = len(questions.by_id)
        there = await asyncio.to_thread(made, somebody, "strange")
        await shows(lab, ("strange", "created"))
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
            await shows(lab, row)
        await asyncio.to_thread(somebody.remove_container, there)
        await shows(lab)
        # All that was known by what was heard.
        assert all(questions.by_id[asked:])


async def test_lost_stream_is_no_old_list(
    open_lab: OpenLab, node2: EngineProxy, questions: Questions, somebody: docker.APIClient
) -> None:
    async with kept(open_lab, questions) as lab:
        node2.hold_request("^GET .*/events")
        node2.cut()
        there = await asyncio.to_thread(made, somebody, "unheard")
        await shows(lab, ("unheard", "created"))
        await asyncio.to_thread(somebody.rename, there, "unheard-of")
        await shows(lab, ("unheard-of", "created"))
        await asyncio.to_thread(somebody.remove_container, there)
        node2.release()
        await until_kept(lab, questions)
        assert seen(await told(lab)) == []
        await asyncio.to_thread(made, somebody, "heard")
        await shows(lab, ("heard", "created"))


async def test_node_whose_engine_is_stopped_is_named(
    open_lab: OpenLab, clean_swarm: Swarm, questions: Questions
) -> None:
    async with kept(open_lab, questions) as lab:
        job = await lab.running(
            await lab.submit("sleep 600", constraints=("node.hostname==node2",))
        )
        assert [row.id for row in await told(lab)] == [job.container_id]
        await asyncio.to_thread(clean_swarm.nodes[1].stop)
        try:
            (row,) = await told(lab)
            assert (row.name, row.worker) == (f"nds-{job.job_id}", "node2")
            assert "node2 does not answer" in row.status
        finally:
            await asyncio.to_thread(clean_swarm.nodes[1].start)

        async def is_back() -> bool:
            return all("does not answer" not in row.status for row in await told(lab))

        await wait_for(is_back, "the list of a node that is back")


async def test_what_is_stopped_here_is_seen_to_end(open_lab: OpenLab, questions: Questions) -> None:
    async with kept(open_lab, questions) as lab:
        job = await lab.running(
            await lab.submit("sleep 600", constraints=("node.hostname==node2",))
        )
        await lab.runner.stop(job, 0)
        await shows(lab, (f"nds-{job.job_id}", "exited"))
        assert all(questions.by_id[-3:])
