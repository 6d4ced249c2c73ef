"""Whether one engine or a Swarm runs the jobs, found out by asking the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from dev.swarm import Swarm
from nds_jupyter.app import NdsApp
from nds_jupyter.errors import EngineUnavailable

pytestmark = pytest.mark.swarm


@pytest.fixture
def availability(clean_swarm: Swarm) -> Iterator[docker.APIClient]:
    """Give a manager's client to a test that drains nodes; they are active again after it."""
    client = docker.APIClient(clean_swarm.manager.endpoint.url, timeout=60)
    yield client
    for node in client.nodes():
        set_availability(client, node["ID"], "active")
    client.close()


def set_availability(client: docker.APIClient, node_id: str, wanted: str) -> None:
    node = client.inspect_node(node_id)
    if node["Spec"]["Availability"] != wanted:
        spec = {**node["Spec"], "Availability": wanted}
        client.update_node(node_id, node["Version"]["Index"], spec)


async def chosen(url: str) -> str:
    """Return what an app that knows nothing but a URL runs jobs on."""
    engine = NdsApp(engine_url=url).make_engine()
    try:
        return (await engine.info()).name
    finally:
        await engine.close()


async def test_manager_of_several_active_nodes_means_a_swarm(clean_swarm: Swarm) -> None:
    assert await chosen(clean_swarm.endpoints[0]) == "Swarm of 3 nodes"


async def test_worker_is_one_engine(clean_swarm: Swarm) -> None:
    assert await chosen(clean_swarm.endpoints[1]) == "node2"


async def test_manager_whose_other_nodes_are_drained_is_one_engine(
    clean_swarm: Swarm,
    availability: docker.APIClient,
) -> None:
    for node in availability.nodes(filters={"role": "worker"}):
        set_availability(availability, node["ID"], "drain")
    assert await chosen(clean_swarm.endpoints[0]) == "node1"


async def test_engine_that_is_away_at_first_is_asked_again(
    clean_swarm: Swarm,
    tmp_path: Path,
) -> None:
    socket = tmp_path / "docker.sock"
    engine = NdsApp(engine_url=f"unix://{socket}").make_engine()
    try:
        with pytest.raises(EngineUnavailable):
            await engine.info()
        socket.symlink_to(clean_swarm.endpoints[0].removeprefix("unix://"))
        assert (await engine.info()).name == "Swarm of 3 nodes"
    finally:
        await engine.close()
