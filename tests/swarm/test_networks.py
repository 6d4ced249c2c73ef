"""A network of its own for each service that may reach nothing."""

from __future__ import annotations

import pytest

from nds_jupyter.engines.swarm import SwarmEngine, SwarmSettings
from nds_jupyter.jobs import Limits, Network
from tests.engine.contract import created, specification

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
