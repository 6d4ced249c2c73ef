"""Inputs and results of jobs on the node that is not a manager; a folder and a zone."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from dev.swarm import Swarm
from tests.handlers.http_client import Ask
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.roots import AWKWARD, Root
from tests.swarm.serving import configured, ended, said, submitted

pytestmark = [
    pytest.mark.swarm,
    # The iRODS client leaves the sockets of broken connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

in_a_folder = pytest.mark.parametrize("data_root", ["folder"], indirect=True)


@pytest.fixture
def jp_server_config(clean_swarm: Swarm, tmp_path: Path, data_root: Root) -> dict[str, Any]:
    return configured(clean_swarm, tmp_path, data_root.url)


async def test_collections_go_to_the_node_and_come_back(ask: Ask, data_root: Root) -> None:
    for name in AWKWARD:
        data_root.put(f"/in/deep/{name}", f"<{name}>".encode())
    data_root.mkdir("/in/nothing")
    job_id = await submitted(ask, "cp -r /data/in /results/copy", data=["/in"], output="/out/run")
    job = await ended(ask, job_id)
    assert (job["state"], job["worker"]) == ("COMPLETED", "node3"), job
    assert data_root.names("/out/run/copy") == {"deep", "nothing"}
    assert data_root.names("/out/run/copy/deep") == set(AWKWARD)
    for name in AWKWARD:
        assert data_root.get(f"/out/run/copy/deep/{name}") == f"<{name}>".encode()
    avus = said(await ask("GET", "/metadata/out/run/copy/deep/with space"))
    assert {"name": "nds.job", "value": job_id, "unit": ""} in avus
    diff = said(await ask("GET", "/diff", job_id=job_id))
    assert {row["path"].split("/")[1] for row in diff} == {"results"}


async def test_large_input_and_result_are_whole(ask: Ask, data_root: Root) -> None:
    data = os.urandom(2**20) * 24
    data_root.put("/big", data)
    script = "cp /data/big /results/; sha256sum /data/big > /results/sum"
    job = await ended(ask, await submitted(ask, script, data="/big", output="/out"))
    assert job["state"] == "COMPLETED", job
    assert data_root.get("/out/sum").split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert data_root.get("/out/big") == data


@in_a_folder
async def test_jobs_on_all_nodes_have_their_data_at_once(ask: Ask, data_root: Root) -> None:
    data_root.put("/in/words", b"a b c\n")
    nodes = ["node1", "node2", "node3"]
    jobs = [
        await submitted(
            ask,
            "cat /data/in/words; hostname > /results/where",
            data="/in",
            output=f"/out/{node}",
            constraint=[f"node.hostname=={node}"],
        )
        for node in nodes
    ]
    states = await asyncio.gather(*(ended(ask, job_id) for job_id in jobs))
    assert [(job["state"], job["worker"]) for job in states] == [
        ("COMPLETED", node) for node in nodes
    ]
    assert data_root.names("/out") == set(nodes)
    assert all(data_root.names(f"/out/{node}") == {"where"} for node in nodes)


@in_a_folder
async def test_what_can_not_be_fails_and_leaves_nothing(ask: Ask, data_root: Root) -> None:
    data_root.put("/full/x", b"mine")
    for fields, reason, named in (
        ({"data": "/none"}, "data", "/none"),
        ({"output": "/full"}, "output", "/full"),
    ):
        job = await ended(ask, await submitted(ask, "true", **fields))
        assert (job["state"], job["reason"]) == ("FAILED", reason), job
        assert named in job["message"]
    assert said(await ask("GET", "/list_container")) == []
    script = "echo half > /results/half; exit 3"
    for wanted in (False, True):
        output = f"/out/{wanted}"
        job_id = await submitted(ask, script, output=output, output_on_failure=wanted)
        assert (await ended(ask, job_id))["exit_code"] == 3
    assert data_root.names("/out") == {"True"}
    assert data_root.get("/out/True/half") == b"half\n"
    again = {"output": "/full", "overwrite": True}
    job = await ended(ask, await submitted(ask, "echo new > /results/x", **again))
    assert (job["state"], data_root.get("/full/x")) == ("COMPLETED", b"new\n"), job


@pytest.mark.parametrize("data_root", ["faulty"], indirect=True)
async def test_connections_that_drop_are_taken_up(
    ask: Ask,
    data_root: Root,
    faulty_zone: Zone,
) -> None:
    data = os.urandom(2**20) * 12
    data_root.put("/big", data)
    faulty_zone.faults.drop_after(7 * 2**20)
    faulty_zone.faults.drop(Api.WRITE, nth=2)
    job_id = await submitted(ask, "cp /data/big /results/", data="/big", output="/out")
    job = await ended(ask, job_id)
    assert job["state"] == "COMPLETED", job
    assert faulty_zone.faults.bytes_left is None
    assert (data_root.get("/out/big") == data, data_root.hidden()) == (True, [])
