"""Files that are sent for jobs, through a real server: into the container, again, and away."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.engine.fake import FakeEngine
from tests.handlers.http_client import (
    Ask,
    json_of,
    run_script,
    submit_form,
    submit_script,
    wait_for_end,
)
from tests.waiting import until

CONTENT = os.urandom(2**20) * 3
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SCRIPT = "sha256sum $NDS_IN/x /data/y"
PLACES = [{"sha256": SHA256, "to": "x"}, {"sha256": SHA256, "to": "/data/y"}]

Put = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


only_fake = pytest.mark.parametrize("engine_kind", ["fake"], indirect=True)


@pytest.fixture
def put(nds: Any, jp_fetch: Any) -> Put:
    async def put(content: bytes = CONTENT, sha256: str = SHA256) -> HTTPResponse:
        return await jp_fetch("nds", "files", sha256, method="PUT", body=content, raise_error=False)

    return put


def kept(nds: Any) -> list[Path]:
    return list(Path(nds.journal_dir, "files").glob("*/*/*"))


@pytest.mark.engine
@pytest.mark.parametrize("engine_kind", ["docker"], indirect=True)
async def test_container_has_what_was_sent(ask: Ask, put: Put) -> None:
    assert (await put()).code == 201
    job = await run_script(ask, SCRIPT, files=PLACES)
    assert job["state"] == "COMPLETED", job
    sizes = [{**place, "size": len(CONTENT)} for place in PLACES]
    sizes[0]["to"] = "/nds/in/x"
    assert job["files"] == sizes
    log = json_of(await ask("GET", "/stdout", job_id=job["job_id"]))["stdout"]
    assert log.split() == [SHA256, "/nds/in/x", SHA256, "/data/y"]
    diff = json_of(await ask("GET", "/diff", job_id=job["job_id"]))
    assert [row["path"] for row in diff if row["path"].startswith(("/nds", "/data"))] == []


@pytest.mark.engine
@pytest.mark.parametrize("engine_kind", ["docker"], indirect=True)
async def test_rerun_takes_files_from_the_container_where_they_are_not_kept(
    ask: Ask, put: Put, nds: Any
) -> None:
    await put()
    job = await run_script(ask, SCRIPT, files=PLACES)
    for file in kept(nds):
        file.unlink()
    again = json_of(await ask("POST", f"/jobs/{job['job_id']}/rerun"))
    await ask("GET", "/stdout", job_id=again["job_id"], follow=1)
    assert json_of(await ask("GET", "/upload", job_id=again["job_id"]))["state"] == "COMPLETED"
    for file in kept(nds):
        file.unlink()
    await ask("DELETE", f"/jobs/{again['job_id']}")
    nds._runner._retention._most_kept = 0
    assert await nds._runner.run_cleanup() == 1
    answer = await ask("POST", f"/jobs/{job['job_id']}/rerun")
    assert (answer.code, json_of(answer)["code"]) == (410, "removed")
    assert "Submit the job again" in json_of(answer)["message"]


@only_fake
async def test_file_is_checked_by_its_digest(ask: Ask, put: Put) -> None:
    assert (await ask("HEAD", f"/files/{SHA256}")).code == 404
    assert json_of(await put()) == {"sha256": SHA256, "size": len(CONTENT)}
    assert (await ask("HEAD", f"/files/{SHA256}")).headers["Content-Length"] == str(len(CONTENT))
    read = await ask("GET", f"/files/{SHA256}")
    assert (read.code, read.body) == (200, CONTENT)
    assert read.headers["Content-Type"] == "application/octet-stream"


@only_fake
async def test_other_content_is_refused_and_nothing_is_left(put: Put, nds: Any) -> None:
    answer = await put(CONTENT[:-1])
    assert (answer.code, json_of(answer)["code"]) == (400, "invalid_request")
    assert "sha256" in json_of(answer)["message"]
    assert kept(nds) == []


@only_fake
@pytest.mark.parametrize(
    ("files", "code", "named"),
    [
        ([{"sha256": "0" * 64, "to": "x"}], 409, "/nds/in/x"),
        ([{"sha256": "no", "to": "x"}], 400, "sha256"),
        ([{"sha256": SHA256, "to": "/nds/x"}], 400, "/nds/x"),
        ([{"sha256": SHA256, "to": "/nds/in/../x"}], 400, "files"),
        ([{"sha256": SHA256, "to": "/data/"}], 400, "files"),
        ([{"sha256": SHA256, "to": ".."}], 400, "files"),
        ([{"sha256": SHA256, "to": "x"}, {"sha256": SHA256, "to": "/nds/in/x"}], 400, "files"),
        ([{"sha256": SHA256, "to": "x", "mode": 1}], 400, "mode"),
        ([{"sha256": SHA256}], 400, "to"),
    ],
)
async def test_what_can_not_be_brought_is_refused_at_once(
    ask: Ask, put: Put, nds: Any, files: list[Any], code: int, named: str
) -> None:
    await put()
    body = {"script": "true", "scriptname": "a.sh", "files": files}
    answer = await ask("POST", "/upload", body)
    assert answer.code == code, answer.body
    assert named in json_of(answer)["message"]
    assert json_of(await ask("GET", "/jobs")) == []


@only_fake
async def test_data_and_file_have_paths_of_their_own(ask: Ask, put: Put) -> None:
    await put()
    files = [{"sha256": SHA256, "to": "/data/x"}]
    body = {"script": "true", "scriptname": "a.sh", "files": files, "data": "/x"}
    answer = await ask("POST", "/upload", body)
    assert (answer.code, "/data/x" in json_of(answer)["message"]) == (400, True)


@only_fake
async def test_form_takes_files_as_json(put: Put, jp_fetch: Any) -> None:
    await put()
    fields = f"script=true&scriptname=a.sh&files={json.dumps(PLACES)}"
    job = await submit_form(jp_fetch, fields)
    assert [each["to"] for each in job["files"]] == ["/nds/in/x", "/data/y"]


@only_fake
async def test_specification_makes_the_same_job_again(ask: Ask, put: Put) -> None:
    await put()
    job = await run_script(ask, "true", files=PLACES)
    spec = json_of(await ask("GET", f"/jobs/{job['job_id']}"))
    again = json_of(await ask("POST", "/upload", spec))
    assert again["files"] == job["files"]


@only_fake
async def test_job_whose_file_was_lost_fails_with_a_sentence(
    ask: Ask, put: Put, nds: Any, fake_engine: FakeEngine
) -> None:
    await put()
    fake_engine.faults.hang()
    job_id = await submit_script(ask, "true", files=PLACES)
    for file in kept(nds):
        file.unlink()
    fake_engine.faults.come_back()
    job = await wait_for_end(ask, job_id)
    assert (job["state"], job["reason"]) == ("FAILED", "data")
    assert "/nds/in/x" in job["message"]
    assert fake_engine.runs == {}


@only_fake
async def test_file_of_a_queued_job_is_kept(
    ask: Ask, put: Put, nds: Any, fake_engine: FakeEngine
) -> None:
    await put()
    fake_engine.faults.hang()
    job_id = await submit_script(ask, "true", files=PLACES)
    [file] = kept(nds)
    os.utime(file, (0, 0))
    await nds._runner._retention._remove_sent_files()
    assert kept(nds) == [file]
    fake_engine.faults.come_back()
    await nds._runner.wait_until(job_id, lambda job: job.is_finished)
    os.utime(file, (0, 0))
    await nds._runner._retention._remove_sent_files()
    assert kept(nds) == []


class TestBounds:
    """A server that takes small files only."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"]["max_file_bytes"] = 2**20
        return jp_server_config

    @only_fake
    async def test_larger_file_is_413_and_the_data_root_is_named(self, put: Put, nds: Any) -> None:
        answer = await put()
        assert (answer.code, json_of(answer)["code"]) == (413, "too_large")
        assert "data root" in json_of(answer)["message"]
        assert kept(nds) == []


@only_fake
async def test_sender_that_goes_away_leaves_nothing(
    nds: Any, http_server: Any, http_server_port: Any, jp_auth_header: Any, jp_base_url: str
) -> None:
    port = http_server_port[1]
    head = (
        f"PUT {jp_base_url}nds/files/{SHA256} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: {jp_auth_header['Authorization']}\r\n"
        f"Content-Length: {len(CONTENT)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(head.encode() + CONTENT[: 2 * 2**20])
        await until(lambda: kept(nds), "the file to be begun")
    await until(lambda: not kept(nds), "the half of a file to go")
