"""A network of its own for each service that may reach nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nds_jupyter.engines.base import LABEL_JOB, LABEL_SERVER
from nds_jupyter.engines.cluster import JobPhase
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.jobs.job import Limits, Network
from tests.engine.contract import created, specification
from tests.swarm.conftest import wait_for

pytestmark = pytest.mark.swarm


async def test_name_is_free_again_while_the_first_one_s_network_goes(
    settings: SwarmSettings,
) -> None:
    engine = SwarmEngine(None, settings)
    spec = specification(
        "true", network=Network.NONE, limits=Limits(cpus=0.1, memory=2**24, pids=64)
    )
    try:
        for _ in range(2):
            await engine.remove(await created(engine, spec))
    finally:
        await engine.close()


async def test_what_a_killed_server_left_is_removed_and_nothing_of_another_server(
    settings: SwarmSettings,
) -> None:
    killed, later = SwarmEngine(None, settings), SwarmEngine(None, settings)
    limits = Limits(cpus=0.1, memory=2**24, pids=64)
    mine, other = [
        specification(
            "true", network=Network.NONE, limits=limits, volume="/data", labels={LABEL_SERVER: each}
        )
        for each in ("this", "another")
    ]
    phases: dict[str, JobPhase] = {}

    async def find_phases(owners: Mapping[str, str]) -> Mapping[str, JobPhase]:
        assert set(owners.values()) <= {"contract"}
        return {job_id: phases.get(job_id, JobPhase.ACTIVE) for job_id in owners}

    async def left() -> set[str]:
        manager, *others = later._nodes.endpoints
        networks = await manager.networks([LABEL_JOB])
        volumes = [await each.volumes([LABEL_JOB]) for each in (manager, *others)]
        services = await manager.services([LABEL_JOB])
        return {
            *(each.labels[LABEL_JOB] for each in networks),
            *(each.labels[LABEL_JOB] for rows in volumes for each in rows),
            *(row["Spec"]["Labels"][LABEL_JOB] for row in services),
        }

    jobs = [spec.labels[LABEL_JOB] for spec in (mine, other)]
    try:
        for spec in (mine, other):
            await created(killed, spec)
        assert await later.remove_leftovers("this", find_phases) == 0
        phases.update(dict.fromkeys(jobs, JobPhase.REMOVED))

        async def gone() -> bool:
            await later.remove_leftovers("this", find_phases)
            return await left() == {jobs[1]}

        await wait_for(gone, "the removal of what only this server's job needed")
    finally:
        await killed.remove(other.name)
        await killed.close()
        await later.close()
