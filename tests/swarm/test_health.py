"""`/health` and `%ndsdoctor` have a sentence for each node and for each endpoint that is none's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.swarm import Swarm
from nds_jupyter.client import Client
from nds_jupyter.client.doctor import diagnose

pytestmark = pytest.mark.swarm


@pytest.fixture
def jp_server_config(clean_swarm: Swarm, tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"nds_jupyter": True}},
        "NdsApp": {
            "engine": "swarm",
            "endpoints": [*clean_swarm.endpoints[:2], "no-such-context"],
            "default_image": "nds/shell:test",
            "journal_dir": str(tmp_path / "journal"),
            "data_root": str(tmp_path),
            "owner": "ada",
        },
    }


@pytest.fixture
def client(jp_serverapp: Any, jp_fetch: Any) -> Iterator[Client]:
    """Give a client of the server, which answers requests from `jp_fetch` on."""
    del jp_fetch
    with Client(jp_serverapp.connection_url, jp_serverapp.identity_provider.token) as made:
        yield made


async def test_every_node_and_endpoint_has_a_sentence(client: Client) -> None:
    health = await asyncio.to_thread(client.health)
    nodes = {node.name: node for node in health.nodes}
    assert sorted(nodes) == ["no-such-context", "node1", "node2", "node3"]
    assert [name for name, node in nodes.items() if not node.reachable] == [
        "no-such-context",
        "node3",
    ]
    assert "has no endpoint that answers" in nodes["node3"].message
    diagnosis = await asyncio.to_thread(diagnose, lambda: client)
    found = {finding.part: finding for finding in diagnosis.findings}
    assert found["node node1"].well
    assert not found["node node3"].well
    assert "no Docker context" in found["node no-such-context"].said
