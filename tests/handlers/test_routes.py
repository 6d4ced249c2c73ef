"""Every route, through a real Jupyter server, on a fake engine and on a real one."""

from __future__ import annotations

import asyncio
import io
import tarfile
from typing import Any

import pytest

from nds_jupyter.engines.base import Image
from nds_jupyter.errors import ImageNotFound
from nds_jupyter.handlers import ROUTES
from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of, run_script


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_job_from_submission_to_results(ask: Ask, owner: str) -> None:
    script = "echo out; echo err >&2; printf 12345 > /results/number; exit 0"
    job = await run_script(ask, script, name="first")
    job_id, container = job["job_id"], job["container_id"]
    assert (job["state"], job["exit_code"], job["owner"]) == ("COMPLETED", 0, owner)
    log = json_of(await ask("GET", "/stdout", job_id=job_id))
    assert sorted(log["stdout"].splitlines()) == ["err", "out"]
    only = json_of(await ask("GET", "/stdout", cont_id=container, stream="stderr"))
    assert only == {"stdout": "err\n", "truncated": False}
    diff = json_of(await ask("GET", "/diff", job_id=job_id))
    assert diff == [{"path": "/results/number", "kind": "added", "type": "file", "size": 5}]
    tar = await ask("GET", "/results", job_id=job_id)
    with tarfile.open(fileobj=io.BytesIO(tar.body)) as archive:
        assert archive.getnames() == ["results", "results/number"]
    raw = await ask("GET", "/results", job_id=job_id, path="number", format="raw")
    assert raw.body == b"12345"
    info = json_of(await ask("GET", "/info", cont_id=container[:12]))
    assert (info["job_id"], info["exit_code"]) == (job_id, 0)
    assert json_of(await ask("GET", "/metric", job_id=job_id))["now"] is None
    rows = json_of(await ask("GET", "/list_container"))
    assert [row["job_id"] for row in rows] == [job_id]
    assert [each["job_id"] for each in json_of(await ask("GET", "/info"))] == [job_id]
    assert [each["job_id"] for each in json_of(await ask("GET", "/jobs", name="firs"))] == [job_id]
    again = json_of(await ask("POST", f"/jobs/{job_id}/rerun"))
    assert again["job_id"] != job_id
    for one in (job_id, again["job_id"]):
        for _ in range(2):
            assert (await ask("DELETE", f"/jobs/{one}")).code == 204
    assert json_of(await ask("GET", "/jobs")) == []
    assert json_of(await ask("GET", "/list_container")) == []


async def test_job_in_the_background_says_so_and_runs_on(ask: Ask) -> None:
    job = json_of(await ask("POST", "/upload", {"script": "sleep 600", "scriptname": "a.sh"}))
    assert job["background"] is False
    sent = json_of(await ask("POST", f"/jobs/{job['job_id']}/background"))
    assert (sent["background"], sent["state"]) == (True, "RUNNING")
    assert json_of(await ask("GET", "/upload", job_id=job["job_id"]))["background"] is True
    again = json_of(await ask("POST", f"/jobs/{job['job_id']}/rerun"))
    assert again["background"] is False
    assert (await ask("DELETE", f"/jobs/{again['job_id']}")).code == 204
    assert (await ask("POST", "/stop", job_id=job["job_id"])).code == 200
    ended = json_of(await ask("GET", "/upload", job_id=job["job_id"]))
    assert json_of(await ask("POST", f"/jobs/{job['job_id']}/background")) == ended


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"script": "exit 3"}, "exit"),
        ({"script": "sleep 60", "timeout": 0.5}, "timeout"),
        ({"script": "echo", "image_name": "missing/image"}, "image"),
        ({"script": "print()", "scriptname": "job.py"}, "image"),
        ({"script": "exit 127"}, "exit"),
        ({"script": "echo exec x failed: No such file or directory; exit 127"}, "exit"),
    ],
)
async def test_failure_has_its_reason(ask: Ask, fields: dict[str, Any], reason: str) -> None:
    job = await run_script(ask, **fields)
    assert (job["state"], job["reason"]) == ("FAILED", reason)
    assert job["message"]


@pytest.mark.parametrize("program", ["nosuchprogram", "/no/such/program"])
async def test_image_without_the_program_is_reported_by_name(ask: Ask, program: str) -> None:
    job = await run_script(ask, script="x", command=[program, "-x"])
    assert (job["state"], job["reason"], job["exit_code"]) == ("FAILED", "image", 127)
    assert job["message"] == (
        f"The image nds/shell:test has no program {program}. Choose an image that has it, or "
        "correct the command."
    )
    assert job["container_id"]
    assert job["started"] <= job["finished"]


@pytest.mark.engine
@pytest.mark.parametrize("engine_kind", ["docker"])
@pytest.mark.parametrize(
    ("first_line", "expected"),
    [
        ("#!/bin/nosuchshell", "first line of job.sh, #!/bin/nosuchshell. Choose an image"),
        ("#!/usr/bin/env nosuchshell", "first line of job.sh, #!/usr/bin/env nosuchshell. Choose"),
        ("#!/bin/sh\r", "Save the script with the line ends of Unix."),
    ],
)
async def test_first_line_that_names_a_missing_program_is_shown(
    ask: Ask, first_line: str, expected: str
) -> None:
    job = await run_script(ask, script=f"{first_line}\necho 1", scriptname="job.sh")
    assert (job["state"], job["reason"], job["exit_code"]) == ("FAILED", "image", 127)
    assert expected in job["message"]


@pytest.mark.engine
@pytest.mark.parametrize("engine_kind", ["docker"])
@pytest.mark.parametrize(
    "script", ["nosuchprogram", "exec nosuchprogram", "echo on; exec env nosuchprogram"]
)
async def test_script_that_misses_a_program_itself_has_run(ask: Ask, script: str) -> None:
    job = await run_script(ask, script=script)
    assert (job["reason"], job["exit_code"]) == ("exit", 127)


@pytest.mark.engine
@pytest.mark.parametrize("engine_kind", ["docker"])
async def test_container_is_confined(ask: Ask, docker_engine_url: str) -> None:
    import docker

    job = await run_script(ask, "id", memory="64m", cpus=0.5, network="none")
    client = docker.APIClient(base_url=docker_engine_url)
    host = client.inspect_container(job["container_id"])["HostConfig"]
    client.close()
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (2**26, 2**26, 500_000_000)
    assert (host["Privileged"], host["Binds"], host["NetworkMode"]) == (False, None, "none")
    assert host["PidsLimit"] == 512


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_stop_ends_a_running_job(ask: Ask, verb: str) -> None:
    job = json_of(await ask("POST", "/upload", {"script": "sleep 300", "scriptname": "a.sh"}))
    answer = json_of(await ask(verb, "/stop", job_id=job["job_id"], timeout=1))
    assert answer["state"] == "success"
    ended = json_of(await ask("GET", "/upload", job_id=job["job_id"]))
    assert (ended["state"], ended["reason"]) == ("FAILED", "stopped")
    again = json_of(await ask(verb, "/stop", job_id=job["job_id"]))
    assert again["state"] == "success"


@pytest.mark.parametrize(
    ("verb", "path", "query", "body", "code", "named"),
    [
        ("POST", "/upload", {}, {}, 400, "script"),
        ("POST", "/upload", {}, {"script": "a", "file": "YQ=="}, 400, "both"),
        ("POST", "/upload", {}, {"script": "a", "colour": 1}, 400, "colour"),
        ("POST", "/upload", {}, {"script": "a", "cpus": "many"}, 400, "cpus"),
        ("POST", "/upload", {}, {"script": "a" * 1001}, 413, "1001"),
        ("POST", "/upload", {}, {"script": "a", "image_name": "evil"}, 422, "evil"),
        ("POST", "/upload", {}, {"script": "a", "data": ["/../x"]}, 400, "data"),
        ("GET", "/upload", {}, None, 400, "job_id"),
        ("GET", "/upload", {"job_id": "0123456789abcdef"}, None, 404, "0123"),
        ("GET", "/upload", {"job_id": "../x"}, None, 404, "id"),
        ("GET", "/stdout", {}, None, 400, "cont_id"),
        ("GET", "/stdout", {"cont_id": "a", "job_id": "b"}, None, 400, "both"),
        ("GET", "/stdout", {"job_id": "abcd", "tail": "x"}, None, 400, "tail"),
        ("GET", "/stdout", {"cont_id": "nobody"}, None, 404, "nobody"),
        ("GET", "/jobs", {"limit": 0}, None, 400, "limit"),
        ("GET", "/jobs", {"colour": 1}, None, 400, "colour"),
        ("GET", "/list_data", {"path": "/none"}, None, 404, "/none"),
        ("GET", "/data/none", {}, None, 404, "/none"),
        ("POST", "/stop", {"job_id": "0123456789abcdef"}, None, 404, "0123"),
        ("DELETE", "/jobs/0123456789abcdef", {}, None, 404, "0123"),
        ("POST", "/jobs/0123456789abcdef/rerun", {}, None, 404, "0123"),
    ],
)
async def test_bad_input_is_named(
    ask: Ask, verb: str, path: str, query: dict[str, object], body: Any, code: int, named: str
) -> None:
    answer = await ask(verb, path, body, **query)
    problem = json_of(answer)
    assert answer.code == code
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert named in problem["message"]
    assert problem["status"] == code
    assert {"message", "reason", "code", "title", "detail"} <= problem.keys()
    assert json_of(await ask("GET", "/jobs")) == []


async def test_idempotency_key_runs_once(ask: Ask, jp_fetch: Any) -> None:
    codes, ids = [], set()
    for _ in range(2):
        answer = await jp_fetch(
            "nds",
            "upload",
            method="POST",
            body="script=true&scriptname=a.sh",
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Idempotency-Key": "one",
            },
        )
        codes.append(answer.code)
        ids.add(json_of(answer)["job_id"])
    assert (codes, len(ids)) == ([201, 200], 1)


async def test_many_jobs_each_end_once(ask: Ask) -> None:
    jobs = await asyncio.gather(*(run_script(ask, f"exit {n % 2}") for n in range(8)))
    assert [job["exit_code"] for job in jobs] == [n % 2 for n in range(8)]


async def test_health_and_openapi(ask: Ask) -> None:
    health = json_of(await ask("GET", "/health"))
    assert health["engine"]["reachable"]
    assert health["journal"]["reachable"]
    document = json_of(await ask("GET", "/openapi.json"))
    assert set(document["paths"]) == {f"/nds{template}" for template, _ in ROUTES}
    assert [each["name"] for each in json_of(await ask("GET", "/list_images"))]


@pytest.mark.parametrize("engine_kind", ["fake"])
async def test_interpreter_is_found_though_the_image_is_not_seen_again(
    ask: Ask, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, seen = fake_engine.image, []

    async def seen_once(reference: str) -> Image:
        seen.append(reference)
        if len(seen) > 1:
            raise ImageNotFound("no node that can be asked has it")
        return await image(reference)

    monkeypatch.setattr(fake_engine, "image", seen_once)
    job = await run_script(ask, script="exit 0", scriptname="job.sh")
    assert (job["state"], len(seen)) == ("COMPLETED", 2), job
