"""Every route about a container on another node, through a real Jupyter server on a Swarm."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from dev.swarm import Swarm
from tests.handlers.http_client import Ask
from tests.swarm.cluster import DEADLINE
from tests.swarm.serving import configured, ended, said, submitted, until

pytestmark = pytest.mark.swarm


@pytest.fixture
def reached() -> int:
    """Say how many nodes have an endpoint."""
    return 3


@pytest.fixture
def jp_server_config(clean_swarm: Swarm, tmp_path: Path, reached: int) -> dict[str, Any]:
    return configured(clean_swarm, tmp_path, str(tmp_path / "stored"), reached)


async def test_ended_job_is_read_from_its_node(ask: Ask) -> None:
    script = "echo out; echo err >&2; printf 12345 > /results/number"
    job_id = await submitted(ask, script, name="first")
    job = await ended(ask, job_id)
    assert (job["state"], job["exit_code"], job["worker"]) == ("COMPLETED", 0, "node3"), job
    container = job["container_id"]
    log = said(await ask("GET", "/stdout", job_id=job_id, accept="application/json"))
    assert sorted(log["stdout"].splitlines()) == ["err", "out"]
    plain = await ask("GET", "/stdout", cont_id=container, stream="stdout", accept="text/plain")
    assert (plain.headers["Content-Type"].split(";")[0], plain.body) == ("text/plain", b"out\n")
    followed = await ask("GET", "/stdout", job_id=job_id, follow=1, stream="stderr")
    assert b"err\n" in followed.body
    diff = said(await ask("GET", "/diff", job_id=job_id))
    assert [(row["path"], row["size"]) for row in diff] == [("/results/number", 5)]
    listed = said(await ask("GET", "/list_results", job_id=job_id))
    assert "number" in json.dumps(listed)
    tar = await ask("GET", "/results", job_id=job_id)
    with tarfile.open(fileobj=io.BytesIO(tar.body)) as archive:
        assert archive.getnames() == ["results", "results/number"]
    raw = await ask("GET", "/results", job_id=job_id, path="number", format="raw")
    assert raw.body == b"12345"
    info = said(await ask("GET", "/info", cont_id=container[:12]))
    assert (info["job_id"], info["exit_code"]) == (job_id, 0)
    assert [each["job_id"] for each in said(await ask("GET", "/jobs", name="firs"))] == [job_id]


async def test_running_job_is_followed_measured_and_stopped(ask: Ask) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo on; while :; do sleep 0.1; done"
    job_id = await submitted(ask, script)
    job = await until(ask, job_id, lambda job: job["state"] == "RUNNING" and job["started"])
    follow = asyncio.create_task(ask("GET", "/stdout", job_id=job_id, follow=1))
    metric: dict[str, Any] = {}
    async with asyncio.timeout(DEADLINE):
        while not metric.get("now"):
            metric = said(await ask("GET", "/metric", job_id=job_id))
            await asyncio.sleep(0.1)
    assert metric["now"]["pids"] >= 1
    rows = said(await ask("GET", "/list_container"))
    assert [(row["job_id"], row["worker"]) for row in rows] == [(job_id, "node3")]
    assert said(await ask("GET", "/info", cont_id=job["container_id"]))["worker"] == "node3"
    assert said(await ask("POST", "/stop", job_id=job_id, timeout=20))["state"] == "success"
    assert (await ended(ask, job_id))["reason"] == "stopped"
    assert b"on\nbye\n" in (await follow).body


async def test_images_are_those_of_all_nodes(ask: Ask) -> None:
    images = said(await ask("GET", "/list_images"))
    (shell,) = [each for each in images if each["name"] == "nds/shell"]
    assert shell["workers"] == ["node1", "node2", "node3"]


async def test_rerun_and_delete_leave_nothing(ask: Ask) -> None:
    first = await submitted(ask, "echo again")
    await ended(ask, first)
    again = said(await ask("POST", f"/jobs/{first}/rerun"))["job_id"]
    job = await ended(ask, again)
    assert (again != first, job["state"], job["worker"]) == (True, "COMPLETED", "node3")
    for job_id in (first, again):
        assert (await ask("DELETE", f"/jobs/{job_id}")).code == 204
    assert said(await ask("GET", "/jobs")) == []
    assert said(await ask("GET", "/list_container")) == []


async def test_files_sent_with_a_job_reach_the_node(ask: Ask, jp_fetch: Any) -> None:
    content = bytes(range(256)) * 12_000
    sha256 = hashlib.sha256(content).hexdigest()
    sent = await jp_fetch("nds", "files", sha256, method="PUT", body=content)
    assert sent.code == 201
    script = "sha256sum < $NDS_IN/x > $NDS_OUT/digest.txt"
    job_id = await submitted(ask, script, files=[{"sha256": sha256, "to": "x"}])
    job = await ended(ask, job_id)
    assert (job["state"], job["worker"]) == ("COMPLETED", "node3"), job
    read = await ask("GET", "/results", job_id=job_id, path="digest.txt", format="raw")
    assert read.body.split()[0].decode() == sha256


async def test_health_has_every_node(ask: Ask) -> None:
    health = await ask("GET", "/health")
    assert all(f"node{number}" in health.body.decode() for number in (1, 2, 3))


@pytest.mark.parametrize("reached", [2])
async def test_what_can_t_be_had_of_a_node_without_an_endpoint_is_said(ask: Ask) -> None:
    job_id = await submitted(ask, "echo out; echo > /results/x")
    job = await ended(ask, job_id)
    assert (job["state"], job["worker"]) == ("COMPLETED", "node3"), job
    log = said(await ask("GET", "/stdout", job_id=job_id, accept="application/json"))
    assert log["stdout"] == "out\n"
    info = said(await ask("GET", "/info", cont_id=job["container_id"]))
    assert (info["job_id"], info["exit_code"]) == (job_id, 0)
    for path in ("/diff", "/metric", "/results", "/list_results"):
        answer = await ask("GET", path, job_id=job_id)
        message = json.loads(answer.body)["message"]
        assert (answer.code, json.loads(answer.body)["code"]) == (502, "no_endpoint"), path
        assert "on node3" in message
        assert "c.NdsApp.endpoints" in message
        assert "node3" in info["note"]
    health = json.loads((await ask("GET", "/health")).body)
    (three,) = [node for node in health["nodes"] if node["name"] == "node3"]
    assert "no endpoint" in three["message"]
    assert (await ask("DELETE", f"/jobs/{job_id}")).code == 204
    assert said(await ask("GET", "/list_container")) == []
