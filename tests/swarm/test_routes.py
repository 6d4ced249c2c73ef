"""Every route about a container on another node, through a real Jupyter server on a Swarm."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from dev.swarm import Swarm

pytestmark = pytest.mark.swarm

Ask = Callable[..., Awaitable[HTTPResponse]]

DEADLINE = 90.0
THERE = {"constraint": ["node.hostname==node3"], "cpus": 0.1, "memory": "32m"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stored").mkdir()
    return tmp_path / "stored"


@pytest.fixture
def reached() -> int:
    """Say how many nodes have an endpoint."""
    return 3


@pytest.fixture
def jp_server_config(
    clean_swarm: Swarm, tmp_path: Path, folder: Path, reached: int
) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"nds_jupyter": True}},
        "NdsApp": {
            "engine": "swarm",
            "endpoints": clean_swarm.endpoints[:reached],
            "default_image": "nds/shell:test",
            "journal_dir": str(tmp_path / "journal"),
            "data_root": str(folder),
            "owner": "ada",
        },
    }


@pytest.fixture
def ask(
    jp_serverapp: Any, jp_asyncio_loop: asyncio.AbstractEventLoop, jp_fetch: Any
) -> Iterator[Ask]:
    app = next(iter(jp_serverapp.extension_manager.extension_apps["nds_jupyter"]))
    jp_asyncio_loop.run_until_complete(app._start_jupyter_server_extension(jp_serverapp))

    async def ask(
        verb: str, path: str, body: object = None, /, accept: str = "*/*", **query: object
    ) -> HTTPResponse:
        return await jp_fetch(
            "nds",
            *path.strip("/").split("/"),
            method=verb,
            params={key: str(value) for key, value in query.items()},
            body=json.dumps(body or {}) if verb == "POST" else None,
            headers={"Content-Type": "application/json", "Accept": accept},
            raise_error=False,
            request_timeout=DEADLINE,
        )

    yield ask
    os.environ.pop("NDS_URL", None)
    os.environ.pop("NDS_URL_OF_SERVER", None)


def said(answer: HTTPResponse) -> Any:
    assert answer.code in {200, 201}, answer.body
    return json.loads(answer.body)


async def submitted(ask: Ask, script: str, **fields: object) -> str:
    body = {"script": script, "scriptname": "job.sh", **THERE, **fields}
    return str(said(await ask("POST", "/upload", body))["job_id"])


async def until(ask: Ask, job_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE):
        job = said(await ask("GET", "/upload", job_id=job_id))
        while not reached(job):
            job = said(await ask("GET", "/upload", job_id=job_id, wait=1))
    return dict(job)


async def ended(ask: Ask, job_id: str) -> dict[str, Any]:
    return await until(ask, job_id, lambda job: job["state"] in {"COMPLETED", "FAILED"})


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


async def test_inputs_reach_the_node_and_results_come_back(ask: Ask, folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "words").write_text("a b c\n")
    job_id = await submitted(
        ask, "wc -w < /data/in/words > /results/count", data=["/in"], output="/out"
    )
    job = await ended(ask, job_id)
    assert (job["state"], job["worker"]) == ("COMPLETED", "node3"), job
    assert (folder / "out" / "count").read_text().strip() == "3"
    assert not [
        row
        for row in said(await ask("GET", "/diff", job_id=job_id))
        if not row["path"].startswith("/results")
    ]


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
