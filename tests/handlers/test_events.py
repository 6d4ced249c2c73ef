"""`/events` through a real Jupyter server, on a real Docker Engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.handlers.http_client import Ask, json_of, submit_script
from tests.handlers.websocket_client import Connect

pytestmark = pytest.mark.engine


async def test_page_receives_a_job_from_submission_to_deletion(ask: Ask, connect: Connect) -> None:
    client = await connect()
    assert client.received[0]["type"] == "reset"
    job_id = await submit_script(ask, "echo out; echo err >&2; sleep 3")
    await client.follow({"job_id": job_id, "metrics": True})
    await client.until(lambda message: message["type"] == "metric")
    lines = await client.log(job_id)
    assert sorted((line["stream"], line["text"]) for line in lines) == [
        ("stderr", "err"),
        ("stdout", "out"),
    ]
    ended = await client.until(lambda m: m["type"] == "job" and m["job"]["phase"] == "finished")
    assert ended["job"] == json_of(await ask("GET", "/upload", job_id=job_id))
    phases = client.phases(job_id)
    assert (phases[0], phases[-1]) == ("accepted", "finished")
    assert {"staging", "running", "collecting"} <= set(phases)
    await ask("DELETE", f"/jobs/{job_id}")
    gone = await client.until(lambda message: message.get("deleted"))
    assert gone["job_id"] == job_id


async def test_page_that_comes_back_has_missed_no_job_message(ask: Ask, connect: Connect) -> None:
    client, witness = await connect(), await connect()
    first = await submit_script(ask, "true")
    seen = await client.until(lambda m: m["type"] == "job" and m["job"]["phase"] == "running")
    # Cut without a closing handshake, as when a laptop's lid is closed.
    client.socket.protocol.stream.close()
    second = await submit_script(ask, "true")
    for job_id in (first, second):
        await witness.until(
            lambda m, job_id=job_id: (
                m["type"] == "job" and m["job_id"] == job_id and m["job"]["phase"] == "finished"
            )
        )
    back = await connect(since=seen["seq"])
    assert back.received[0]["type"] == "hello"
    await back.until(lambda m: m["seq"] == witness.received[-1]["seq"])
    for job_id in (first, second):
        assert client.phases(job_id) + back.phases(job_id) == witness.phases(job_id)


@pytest.mark.parametrize("since", ["0badcafe.3", "nonsense", ""])
async def test_unknown_position_begins_with_a_reset(connect: Connect, since: str) -> None:
    client = await connect(since=since)
    assert client.received[0]["type"] == "reset"


@pytest.mark.parametrize(
    "message", ["{", '{"follow": 1}', '{"follow": [{"log": true}]}', b"\xff\xfe"]
)
async def test_message_that_is_not_understood_is_answered(
    connect: Connect, message: str | bytes
) -> None:
    client = await connect()
    await client.socket.write_message(message, binary=isinstance(message, bytes))
    error = await client.until(lambda m: m["type"] == "error")
    assert (error["code"], error["job_id"]) == ("invalid_request", None)


async def test_frame_that_is_too_large_ends_the_connection(connect: Connect) -> None:
    client = await connect()
    await client.socket.write_message("x" * 100_000)
    while await client.next() is not None:
        pass
    assert client.socket.close_code == 1009


async def test_load_counts_what_runs_and_what_waits(ask: Ask, connect: Connect) -> None:
    client = await connect()
    jobs = [await submit_script(ask, "sleep 300") for _ in range(5)]
    load = await client.until(
        lambda m: m["type"] == "load" and (m["running"], m["queued"]) == (4, 1)
    )
    assert load["places"] == 4
    assert load["cpus"] >= 1
    assert load["memory"] > 0
    asked = json_of(await ask("GET", "/load"))
    assert (asked["running"], asked["queued"]) == (4, 1)
    for job_id in reversed(jobs):
        await ask("POST", "/stop", job_id=job_id, timeout=0)
    await client.until(
        lambda m: m is client.received[-1] and m["type"] == "load" and not m["running"]
    )


async def test_server_that_stops_says_so(connect: Connect, nds: Any) -> None:
    client = await connect()
    closing = asyncio.ensure_future(nds._broadcaster.close())
    while await client.next() is not None:
        pass
    await closing
    assert client.socket.close_code == 1001
