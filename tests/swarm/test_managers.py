"""Several managers: one hangs, the leader dies in the middle of jobs, and another one is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.engine_api import ask
from dev.processes import wait_until
from dev.swarm import Swarm, swarm
from dev.swarm_node import SwarmNode
from nds_jupyter.engines.base import EngineEvent
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.jobs.job import JobState, Reason
from tests.swarm.cluster import DEADLINE
from tests.swarm.conftest import all_ready, harness_on, wait_for

pytestmark = pytest.mark.swarm

JOBS = 24


@pytest.fixture(scope="module")
def managers() -> Iterator[Swarm]:
    """Give three nodes that are all managers."""
    with swarm(managers=3) as made:
        yield made


@pytest.fixture
def patient_settings(managers: Swarm) -> SwarmSettings:
    """Give settings for nodes that a new leader does not know at once."""
    return SwarmSettings(endpoints=tuple(managers.endpoints), node_deadline=3.0, lost_after=120.0)


def leader(managers: Swarm) -> SwarmNode:
    """Return the node that leads."""
    nodes = json.loads(ask(managers.nodes[2].endpoint, "GET", "/nodes"))
    (found,) = [node for node in nodes if (node.get("ManagerStatus") or {}).get("Leader")]
    name = found["Description"]["Hostname"]
    return next(node for node in managers.nodes if node.name == name)


def not_on(node: SwarmNode) -> tuple[str, ...]:
    """Return the constraint that keeps jobs away from a node."""
    return (f"node.hostname!={node.name}",)


async def test_manager_that_hangs_is_passed_over(
    managers: Swarm,
    patient_settings: SwarmSettings,
    tmp_path: Path,
) -> None:
    elsewhere = not_on(managers.manager)
    async with harness_on(patient_settings, tmp_path / "journal") as harness:
        await harness.wait_for_end(await harness.submit("exit 0", constraints=elsewhere))
        with managers.manager.frozen():
            ended = await harness.wait_for_end(
                await harness.submit("exit 0", constraints=elsewhere)
            )
            assert (ended.state, ended.worker != "node1") == (JobState.COMPLETED, True)
    # The others may have chosen another leader; the next test takes whoever leads then.
    assert await asyncio.to_thread(wait_until, lambda: all_ready(managers), DEADLINE)


async def test_leader_s_death_in_the_middle_of_jobs_loses_none(
    managers: Swarm,
    patient_settings: SwarmSettings,
    tmp_path: Path,
) -> None:
    dying = leader(managers)
    async with harness_on(patient_settings, tmp_path / "journal") as harness:
        seen: list[EngineEvent] = []
        listening = asyncio.create_task(_listen(harness.engine, seen))
        jobs = [
            await harness.submit("echo ran; sleep 0.5; exit 5", constraints=not_on(dying))
            for _ in range(JOBS)
        ]
        await harness.wait_for_end(jobs[2])
        await asyncio.to_thread(dying.kill)
        seen.clear()
        ended = await asyncio.gather(*map(harness.wait_for_end, jobs))
        assert {(job.state, job.reason, job.exit_code) for job in ended} == {
            (JobState.FAILED, Reason.EXIT, 5)
        }
        assert {await harness.read_log(job) for job in ended} == {"ran\n"}

        async def is_seen_down() -> bool:
            found = {each.name: each.message for each in await harness.engine.nodes()}
            return f"{dying.name} is down, says the manager" in found.get(dying.name, "")

        await wait_for(is_seen_down, "the new leader's word that the old one is down")

        async def is_seen() -> bool:
            return any(event.action == "connected" for event in seen)

        await wait_for(is_seen, "an event of another manager")
        after = await harness.wait_for_end(await harness.submit("exit 0"))
        assert (after.state, after.worker != dying.name) == (JobState.COMPLETED, True)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(engine: SwarmEngine, seen: list[EngineEvent]) -> None:
    async for event in engine.events():
        seen.append(event)
