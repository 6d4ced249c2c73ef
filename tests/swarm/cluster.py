"""A real Docker Swarm of three nodes for the tests that are marked `swarm`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import docker
import pytest

from dev.engine_api import EngineAnswerError, ask
from dev.processes import wait_until
from dev.swarm import Swarm, swarm
from dev.swarm_node import SwarmNode

DEADLINE = 180.0


@pytest.fixture(scope="session")
def swarm_cluster() -> Iterator[Swarm]:
    """Give three nodes that have `nds/shell:test`; everything is removed at the end."""
    with swarm() as made:
        yield made


@pytest.fixture
def clean_swarm(swarm_cluster: Swarm) -> Iterator[Swarm]:
    """Give the Swarm with three ready nodes; services that a test left are removed after it."""
    manager = docker.APIClient(swarm_cluster.manager.endpoint.url, timeout=60)
    yield swarm_cluster
    assert wait_until(lambda: _remove_services(manager), DEADLINE)
    for node in swarm_cluster.nodes:
        assert wait_until(partial(_remove_containers, node), DEADLINE), _job_containers(node)
    assert wait_until(lambda: _remove_networks(manager), DEADLINE)
    assert wait_until(lambda: _remove_configs(manager), DEADLINE)
    for node in swarm_cluster.nodes:
        assert wait_until(partial(_remove_volumes, node), DEADLINE), node.name
    manager.close()


def _remove_services(manager: docker.APIClient) -> bool:
    left = manager.services()
    for service in left:
        with suppress(docker.errors.APIError):
            manager.remove_service(service["ID"])
    return not left


def _remove_containers(node: SwarmNode) -> bool:
    """Remove what is there; a node may begin a task after its service was removed."""
    left = _job_containers(node)
    for container in left:
        with suppress(EngineAnswerError):
            path = f"/containers/{container['Id']}"
            ask(node.endpoint, "DELETE", path, query={"force": "1", "v": "1"})
    return not left


def _remove_networks(manager: docker.APIClient) -> bool:
    left = manager.networks(filters={"label": "nds.job"})
    for network in left:
        with suppress(docker.errors.APIError):
            manager.remove_network(network["Id"])
    return not left


def _remove_configs(manager: docker.APIClient) -> bool:
    left = manager.configs(filters={"label": "nds.job"})
    for config in left:
        with suppress(docker.errors.APIError):
            manager.remove_config(config["ID"])
    return not left


def _remove_volumes(node: SwarmNode) -> bool:
    query = {"filters": json.dumps({"label": ["nds.job"]})}
    left = json.loads(ask(node.endpoint, "GET", "/volumes", query=query))["Volumes"] or []
    for volume in left:
        with suppress(EngineAnswerError):
            ask(node.endpoint, "DELETE", f"/volumes/{volume['Name']}")
    return not left


def _job_containers(node: SwarmNode) -> list[Any]:
    """Return the containers of jobs and of their stagers."""
    found: list[Any] = []
    for label in ("nds.job", "nds.helper"):
        query = {"all": "1", "filters": json.dumps({"label": [label]})}
        found += json.loads(ask(node.endpoint, "GET", "/containers/json", query=query))
    return found
