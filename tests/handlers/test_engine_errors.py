"""What a server says, and what it leaves behind, when its engine or its disk fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.iostream import StreamClosedError

from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of, run_script
from tests.waiting import until

SLEEPER = {"script": "echo begun; sleep 600", "scriptname": "a.sh"}


@pytest.fixture(params=["fake"])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def running(ask: Ask, nds: Any, **fields: object) -> dict[str, Any]:
    answer = await ask("POST", "/upload", {**SLEEPER, **fields})
    assert answer.code == 201, answer.body
    job_id = json_of(answer)["job_id"]
    await nds._runner.wait_until(job_id, lambda job: job.started is not None)
    return json_of(await ask("GET", "/upload", job_id=job_id))


def assert_problem(answer: HTTPResponse, status: int, code: str, *words: str) -> None:
    body = json_of(answer)
    assert (answer.code, body["status"], body["code"]) == (status, status, code), body
    assert answer.headers["Content-Type"] == "application/problem+json"
    for word in words:
        assert word in body["message"]


READING = ["/stdout", "/diff", "/results", "/info"]


async def test_engine_that_is_down_records_nothing(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    await until(lambda: nds._runner._slots.limit, "the engine's first answer")
    nds._runner._availability.last_answer = float("-inf")
    fake_engine.faults.go_down()
    answer = await ask("POST", "/upload", SLEEPER)
    assert_problem(answer, 502, "engine_unavailable", "Start it")
    assert json_of(await ask("GET", "/jobs")) == []
    health = await ask("GET", "/health")
    assert (health.code, json_of(health)["engine"]["reachable"]) == (503, False)
    assert_problem(await ask("GET", "/list_images"), 502, "engine_unavailable")
    assert_problem(await ask("GET", "/list_container"), 502, "engine_unavailable")


async def test_job_accepted_before_waits_for_the_engine(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    fake_engine.hold_pulls.clear()
    fake_engine.registry["nds/late:1"] = ()
    answer = await ask(
        "POST", "/upload", {**SLEEPER, "script": "exit 5", "image_name": "nds/late:1"}
    )
    job_id = json_of(answer)["job_id"]
    await nds._runner.wait_until(job_id, lambda job: job.phase == "pulling")
    fake_engine.faults.go_down()
    fake_engine.hold_pulls.set()
    await until(lambda: fake_engine.faults.calls["image"] > 1, "another try")
    assert json_of(await ask("GET", "/upload", job_id=job_id))["state"] == "RUNNING"
    fake_engine.faults.come_back()
    ended = json_of(await ask("GET", "/upload", job_id=job_id, wait=60))
    assert (ended["state"], ended["exit_code"]) == ("FAILED", 5)


@pytest.mark.parametrize("path", READING)
async def test_engine_that_goes_down_is_reported_by_each_reading_route(
    ask: Ask, nds: Any, fake_engine: FakeEngine, path: str
) -> None:
    job = await running(ask, nds)
    fake_engine.faults.go_down()
    answer = await ask("GET", path, cont_id=job["container_id"])
    assert_problem(answer, 502, "engine_unavailable", "Start it")


@pytest.mark.parametrize("path", READING)
async def test_engine_that_hangs_is_a_deadline(
    ask: Ask, nds: Any, fake_engine: FakeEngine, path: str
) -> None:
    job = await running(ask, nds)
    fake_engine.faults.deadline = 0.1
    fake_engine.faults.hang()
    answer = await ask("GET", path, cont_id=job["container_id"])
    assert_problem(answer, 504, "deadline_exceeded", "in time")


async def test_job_is_accepted_while_the_engine_only_hangs(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    await until(lambda: nds._runner._slots.limit, "the engine's first answer")
    nds._runner._availability.last_answer = float("-inf")
    fake_engine.faults.deadline = 0.1
    fake_engine.faults.hang()
    answer = await ask("POST", "/upload", {"script": "exit 6", "scriptname": "a.sh"})
    assert answer.code == 201
    fake_engine.faults.come_back()
    ended = json_of(await ask("GET", "/upload", job_id=json_of(answer)["job_id"], wait=60))
    assert ended["exit_code"] == 6


async def test_engine_without_room_fails_the_job_and_leaves_nothing(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    fake_engine.faults.disk_full = True
    answer = await ask("POST", "/upload", SLEEPER)
    ended = json_of(await ask("GET", "/upload", job_id=json_of(answer)["job_id"], wait=60))
    assert (ended["state"], ended["reason"]) == ("FAILED", "engine")
    assert "disk is full" in ended["message"]
    assert fake_engine.containers_by_id == {}


async def test_used_key_is_answered_while_the_engine_is_down(
    ask: Ask, nds: Any, fake_engine: FakeEngine, jp_fetch: Any
) -> None:
    async def post() -> HTTPResponse:
        return await jp_fetch(
            "nds",
            "upload",
            method="POST",
            body=json.dumps(SLEEPER),
            headers={"Content-Type": "application/json", "Idempotency-Key": "k"},
        )

    first = await post()
    nds._runner._availability.last_answer = float("-inf")
    fake_engine.faults.go_down()
    again = await post()
    assert (first.code, again.code) == (201, 200)
    assert json_of(first)["job_id"] == json_of(again)["job_id"]


async def test_answer_that_breaks_off_is_not_taken_for_whole(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    job = await running(ask, nds)
    following = asyncio.ensure_future(ask("GET", "/stdout", job_id=job["job_id"], follow=1))
    await until(lambda: fake_engine.open_streams > 1, "the log to be read")
    fake_engine.faults.go_down()
    container = fake_engine.named(f"nds-{job['job_id']}")
    assert container is not None
    container.write_log(1, b"more\n")
    container.write_log(1, b"and more\n")
    with contextlib.suppress(StreamClosedError, HTTPClientError):
        answer = await following
        assert answer.code == 599, answer


async def test_stream_ends_with_who_reads_it(
    ask: Ask, nds: Any, fake_engine: FakeEngine, jp_fetch: Any
) -> None:
    job = await running(ask, nds)
    streams = fake_engine.open_streams
    with pytest.raises(HTTPClientError) as gone:
        await jp_fetch(
            "nds",
            "stdout",
            params={"job_id": job["job_id"], "follow": 1},
            request_timeout=1,
        )
    assert gone.value.code == 599
    await until(lambda: fake_engine.faults.calls["logs"] >= 1, "the log to be read")
    await until(lambda: fake_engine.open_streams <= max(streams, 1), "the log to be left")


async def test_two_deletions_at_once_both_succeed(ask: Ask, nds: Any) -> None:
    job = await running(ask, nds)
    answers = await asyncio.gather(*(ask("DELETE", f"/jobs/{job['job_id']}") for _ in range(3)))
    assert [answer.code for answer in answers] == [204] * 3


async def test_container_removed_behind_the_servers_back_is_unknown(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    job = await running(ask, nds)
    await fake_engine.remove(job["container_id"])
    ended = json_of(await ask("GET", "/upload", job_id=job["job_id"], wait=60))
    assert (ended["state"], ended["phase"]) == ("UNKNOWN", "finished")
    assert_problem(await ask("GET", "/results", job_id=job["job_id"]), 410, "removed")


class TestFullDisk:
    """The disk that holds the record of jobs has no room."""

    @pytest.fixture
    def jp_server_config(
        self, jp_server_config: dict[str, Any], small_disk: Path
    ) -> dict[str, Any]:
        jp_server_config["NdsApp"]["journal_dir"] = str(small_disk / "journal")
        jp_server_config["NdsApp"]["max_script_bytes"] = 2**20
        return jp_server_config

    def fill(self, disk: Path) -> Path:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        return filler

    async def test_job_is_refused_and_nothing_is_recorded(
        self, ask: Ask, fake_engine: FakeEngine, small_disk: Path
    ) -> None:
        filler = self.fill(small_disk)
        big = {"script": "#" + "x" * 100_000, "scriptname": "a.sh"}
        answer = await ask("POST", "/upload", big)
        assert_problem(answer, 503, "storage_full", "Free space")
        assert json_of(await ask("GET", "/jobs")) == []
        assert fake_engine.containers_by_id == {}
        filler.unlink()
        job = await run_script(ask, "exit 0")
        assert job["state"] == "COMPLETED"
