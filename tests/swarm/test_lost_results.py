"""Results on a node that is lost before they were delivered: the job ends, and says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dev.swarm import Swarm
from nds_jupyter.data.result_delivery import Delivery
from tests.handlers.http_client import Ask
from tests.roots import Root
from tests.swarm.serving import configured, ended, submitted

pytestmark = pytest.mark.swarm


@pytest.fixture
def jp_server_config(clean_swarm: Swarm, tmp_path: Path, data_root: Root) -> dict[str, Any]:
    config = configured(clean_swarm, tmp_path, data_root.url)
    config["NdsApp"]["node_lost_after"] = 1.0
    return config


@pytest.mark.parametrize("data_root", ["folder"], indirect=True)
async def test_delivery_from_a_lost_node_ends_and_names_what_is_lost(
    ask: Ask,
    data_root: Root,
    node3_dies: Swarm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy_results, kill = Delivery._copy_results, node3_dies.nodes[2].kill

    async def lost_first(delivery: Delivery, container_id: str) -> None:
        monkeypatch.setattr(Delivery, "_copy_results", copy_results)
        await asyncio.to_thread(kill)
        await copy_results(delivery, container_id)

    monkeypatch.setattr(Delivery, "_copy_results", lost_first)
    job_id = await submitted(ask, "echo x > /results/x", output="/out/run")
    job = await ended(ask, job_id)
    assert (job["state"], job["reason"], job["exit_code"]) == ("FAILED", "output", 0), job
    assert "node3 went down with the container" in job["message"]
    assert "was not back within 1 s" in job["message"]
    assert job["container_id"][:12] in job["message"]
    assert "out" not in data_root.names("/")
