"""Containers that the Swarm ends by itself, as it does where a node loses a label."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import docker
import pytest

from dev.swarm import Swarm
from nds_jupyter.jobs import JobState, Reason
from tests.swarm.conftest import OpenLab, change_node, wait_for

pytestmark = pytest.mark.swarm

HERE = ("node.labels.here==yes",)


def unlabel(swarm: Swarm, name: str) -> None:
    with contextlib.closing(docker.APIClient(swarm.manager.endpoint.url, timeout=20)) as client:
        change_node(client, name, Labels={})


async def test_script_that_the_swarm_ends_is_not_taken_to_have_ended_by_itself(
    open_lab: OpenLab, clean_swarm: Swarm, label: Callable[[int], None]
) -> None:
    label(3)
    async with open_lab() as lab:
        job = await lab.running(await lab.submit("echo ran; sleep 600", constraints=HERE))
        unlabel(clean_swarm, "node3")
        ended = await lab.ended(job)
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.ENGINE), ended
        assert "The container on node3 was ended while the script ran" in ended.message
        assert ended.attempts == 1


async def test_job_whose_container_the_swarm_ends_before_its_script_is_placed_again(
    open_lab: OpenLab,
    clean_swarm: Swarm,
    label: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    label(3)
    async with open_lab() as lab:
        start = lab.engine.start

        async def ended_first(container_id: str) -> str | None:
            monkeypatch.setattr(lab.engine, "start", start)
            label(2)
            unlabel(clean_swarm, "node3")
            await wait_for(lambda: exited(clean_swarm, container_id), "the end of the starter")
            return await start(container_id)

        monkeypatch.setattr(lab.engine, "start", ended_first)
        job = await lab.submit("echo ran; exit 5", constraints=HERE)
        ended = await lab.ended(job)
        assert (ended.reason, ended.exit_code, ended.worker) == (Reason.EXIT, 5, "node2"), ended
        assert await lab.log(ended) == "ran\n"


async def exited(swarm: Swarm, container_id: str) -> bool:
    def look() -> Any:
        with contextlib.closing(docker.APIClient(swarm.nodes[2].endpoint.url, timeout=20)) as node:
            return node.inspect_container(container_id)["State"]["Status"]

    return bool(await asyncio.to_thread(look) == "exited")
