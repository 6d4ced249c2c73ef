"""Jobs over data, through a real Jupyter server, on a real Docker Engine; a folder or a zone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import pytest

from tests.handlers.http_client import Ask, json_of, run_script, submit_form, wait_for_end
from tests.roots import AWKWARD, Root

pytestmark = [
    pytest.mark.engine,
    # The iRODS client leaves the sockets of broken connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
def data_traits(data_root: Root) -> dict[str, Any]:
    return {"data_root": data_root.url}


async def log_of(ask: Ask, job: dict[str, Any]) -> str:
    return str(json.loads((await ask("GET", "stdout", job_id=job["job_id"])).body)["stdout"])


async def test_job_over_awkward_names_and_back(ask: Ask, data_root: Root) -> None:
    for name in AWKWARD:
        data_root.put(f"/in/deep/{name}", f"<{name}>".encode())
    script = "cp -r /data/in/deep /results/copy; ln -s copy /results/link; ls -ld /data/in/deep"
    job = await run_script(ask, script, data=["/in"], output="/out")
    assert (job["state"], job["data"]) == ("COMPLETED", ["/in"]), job
    assert "1 left out" in job["message"]
    assert data_root.names("/out") == {"copy"}
    assert data_root.names("/out/copy") == set(AWKWARD)
    for name in AWKWARD:
        assert data_root.get(f"/out/copy/{name}") == f"<{name}>".encode()
    assert (await log_of(ask, job)).startswith("drwxr-xr-x")
    diff = json_of(await ask("GET", "/diff", job_id=job["job_id"]))
    assert not [row for row in diff if row["path"].startswith("/data")]


async def test_results_say_where_they_come_from(ask: Ask, data_root: Root) -> None:
    data_root.put("/in/x", b"1")
    job = await run_script(ask, "cp /data/x '/results/the copy'", data=["/in/x"], output="/out")
    assert job["state"] == "COMPLETED", job
    found = json_of(await ask("GET", "/metadata/out/the copy"))
    told = {avu["name"]: avu["value"] for avu in found}
    assert set(told) == {"nds.job", "nds.image_digest", "nds.script_sha256", "nds.input"}
    script = b"cp /data/x '/results/the copy'"
    assert told["nds.script_sha256"] == hashlib.sha256(script).hexdigest()
    assert (told["nds.job"], told["nds.input"]) == (job["job_id"], "/in/x")
    assert told["nds.image_digest"].startswith("sha256:")


async def test_large_input_and_result_keep_their_checksum(ask: Ask, data_root: Root) -> None:
    data = os.urandom(2**20) * 40
    data_root.put("/big", data)
    job = await run_script(
        ask, "cp /in/big /results/; sha256sum /in/big", data="/big:/in/", output="/o"
    )
    assert job["state"] == "COMPLETED", job
    digest = hashlib.sha256(data)
    assert (await log_of(ask, job)).split()[0] == digest.hexdigest()
    assert data_root.get("/o/big") == data
    if data_root.url.startswith("irods:"):
        registered = base64.b64encode(digest.digest()).decode()
        assert data_root.fs.info(f"{data_root.base}/o/big")["checksum"] == f"sha2:{registered}"


async def test_hard_link_is_delivered_as_a_copy(ask: Ask, data_root: Root) -> None:
    script = "echo 1 > /results/a; ln /results/a /results/b; mkdir /results/empty"
    job = await run_script(ask, script, output="/o")
    assert job["state"] == "COMPLETED", job
    assert [data_root.get(f"/o/{name}") for name in "ab"] == [b"1\n", b"1\n"]
    assert data_root.names("/o") == {"a", "b", "empty"}
    assert data_root.names("/o/empty") == set()


@pytest.mark.parametrize("data_root", ["folder"], indirect=True)
async def test_forms_take_lines_of_data(ask: Ask, data_root: Root, jp_fetch: Any) -> None:
    data_root.put("/x", b"1")
    data_root.put("/y", b"2")
    fields = "script=cat+/data/x+/in/y&scriptname=a.sh&data=/x%0A/y:/in/y&output_on_failure=true"
    job = await wait_for_end(ask, (await submit_form(jp_fetch, fields))["job_id"])
    assert job["state"] == "COMPLETED", job
    assert await log_of(ask, job) == "12"


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"data": "/none"}, "data", "/none"),
        ({"output": "/full"}, "output", "/full"),
        ({"output": "/full/x/y"}, "output", "/full/x"),
    ],
)
async def test_what_can_not_be_fails_with_the_path(
    ask: Ask, data_root: Root, fields: dict[str, object], reason: str, named: str
) -> None:
    data_root.put("/full/x", b"1")
    job = await run_script(ask, "echo 1 > /results/a", **fields)
    assert (job["state"], job["reason"]) == ("FAILED", reason), job
    assert named in job["message"]
    assert data_root.base not in job["message"]
    assert data_root.names("/full") == {"x"}


@pytest.mark.parametrize("data_root", ["folder"], indirect=True)
@pytest.mark.parametrize("data", ["/a/../b", "s3://b/x", "/x:/nds/y", '["/x", "/y/x"]'])
async def test_malformed_data_is_refused_at_once(ask: Ask, data: str) -> None:
    answer = await ask("POST", "/upload", {"script": "true", "scriptname": "a.sh", "data": data})
    assert answer.code == 400
    assert "data" in json.loads(answer.body)["message"]
