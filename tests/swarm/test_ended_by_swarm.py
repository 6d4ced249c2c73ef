"""Containers that the Swarm ends by itself, as it does where a node loses a label."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import docker
import pytest

from dev.console import tail
from dev.processes import wait_until
from dev.swarm import Swarm
from nds_jupyter.jobs.job import JobState, Reason
from tests.swarm.conftest import OpenHarness, change_node

pytestmark = pytest.mark.swarm

TURNS, PATIENCE = 6, 15.0
"""How often the Swarm is brought to look, and the seconds that it has for each time."""

HERE = ("node.labels.here==yes",)


async def test_script_that_the_swarm_ends_is_not_taken_to_have_ended_by_itself(
    open_harness: OpenHarness, clean_swarm: Swarm, label: Callable[[int], None]
) -> None:
    label(3)
    async with open_harness() as harness:
        job = await harness.wait_for_start(
            await harness.submit("echo ran; sleep 600", constraints=HERE)
        )
        await take_back(clean_swarm, str(job.container_id))
        ended = await harness.wait_for_end(job)
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.ENGINE), ended
        assert "The container on node3 was ended while the script ran" in ended.message
        assert ended.attempts == 1


async def test_job_whose_container_the_swarm_ends_before_its_script_is_placed_again(
    open_harness: OpenHarness,
    clean_swarm: Swarm,
    label: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    label(3)
    async with open_harness() as harness:
        start = harness.engine.start

        async def ended_first(container_id: str) -> str | None:
            monkeypatch.setattr(harness.engine, "start", start)
            label(2)
            await take_back(clean_swarm, container_id)
            return await start(container_id)

        monkeypatch.setattr(harness.engine, "start", ended_first)
        job = await harness.submit("echo ran; exit 5", constraints=HERE)
        ended = await harness.wait_for_end(job)
        assert (ended.reason, ended.exit_code, ended.worker) == (Reason.EXIT, 5, "node2"), ended
        assert await harness.read_log(ended) == "ran\n"


async def take_back(swarm: Swarm, container_id: str) -> None:
    """Have the Swarm end a container on node 3, by taking the label from the node.

    A manager looks whether tasks fit their node when it takes the lead and when the node changes,
    once (SwarmKit's `constraintenforcer`); where that comes to nothing it does not try again. So
    the node changes until the container has ended, and at last another look is made by a restart.
    """
    for turn in range(TURNS):
        await asyncio.to_thread(relabel, swarm, {"turn": str(turn)})
        if await asyncio.to_thread(wait_until, lambda: has_ended(swarm, container_id), PATIENCE):
            return
        if turn == TURNS // 2:
            await asyncio.to_thread(swarm.manager.stop)
            await asyncio.to_thread(swarm.manager.start)
    pytest.fail(f"the Swarm does not end {container_id}: {tail(swarm.manager.log)}")


def relabel(swarm: Swarm, labels: dict[str, str]) -> None:
    with (
        contextlib.closing(docker.APIClient(swarm.manager.endpoint.url, timeout=20)) as client,
        # The manager changes nodes, too; the next turn has a newer version.
        contextlib.suppress(docker.errors.APIError),
    ):
        change_node(client, "node3", Labels=labels)


def has_ended(swarm: Swarm, container_id: str) -> bool:
    with contextlib.closing(docker.APIClient(swarm.nodes[2].endpoint.url, timeout=20)) as node:
        try:
            return bool(node.inspect_container(container_id)["State"]["Status"] == "exited")
        except docker.errors.NotFound:
            return True
