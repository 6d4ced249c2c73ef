"""`/events` through a real Jupyter server, on a real Docker Engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.handlers.asking import Ask, begun, said
from tests.handlers.watching import Open

pytestmark = pytest.mark.engine


async def test_page_is_told_of_a_job_from_submission_to_deletion(ask: Ask, open_page: Open) -> None:
    page = await open_page()
    assert page.told[0]["type"] == "reset"
    job_id = await begun(ask, "echo out; echo err >&2; sleep 3")
    await page.follow({"job_id": job_id, "metrics": True})
    await page.until(lambda message: message["type"] == "metric")
    lines = await page.log(job_id)
    assert sorted((line["stream"], line["text"]) for line in lines) == [
        ("stderr", "err"),
        ("stdout", "out"),
    ]
    ended = await page.until(lambda m: m["type"] == "job" and m["job"]["phase"] == "finished")
    assert ended["job"] == said(await ask("GET", "/upload", job_id=job_id))
    phases = page.phases(job_id)
    assert (phases[0], phases[-1]) == ("accepted", "finished")
    assert {"staging", "running", "collecting"} <= set(phases)
    await ask("DELETE", f"/jobs/{job_id}")
    gone = await page.until(lambda message: message.get("deleted"))
    assert gone["job_id"] == job_id


async def test_page_that_comes_back_has_missed_no_job_message(ask: Ask, open_page: Open) -> None:
    page, witness = await open_page(), await open_page()
    first = await begun(ask, "true")
    seen = await page.until(lambda m: m["type"] == "job" and m["job"]["phase"] == "running")
    # Cut without a closing handshake, as when a laptop's lid is closed.
    page.socket.protocol.stream.close()
    second = await begun(ask, "true")
    for job_id in (first, second):
        await witness.until(
            lambda m, job_id=job_id: (
                m["type"] == "job" and m["job_id"] == job_id and m["job"]["phase"] == "finished"
            )
        )
    back = await open_page(since=seen["seq"])
    assert back.told[0]["type"] == "hello"
    await back.until(lambda m: m["seq"] == witness.told[-1]["seq"])
    for job_id in (first, second):
        assert page.phases(job_id) + back.phases(job_id) == witness.phases(job_id)


@pytest.mark.parametrize("since", ["0badcafe.3", "nonsense", ""])
async def test_unknown_position_begins_with_a_reset(open_page: Open, since: str) -> None:
    page = await open_page(since=since)
    assert page.told[0]["type"] == "reset"


@pytest.mark.parametrize(
    "message", ["{", '{"follow": 1}', '{"follow": [{"log": true}]}', b"\xff\xfe"]
)
async def test_message_that_is_not_understood_is_answered(
    open_page: Open, message: str | bytes
) -> None:
    page = await open_page()
    await page.socket.write_message(message, binary=isinstance(message, bytes))
    error = await page.until(lambda m: m["type"] == "error")
    assert (error["code"], error["job_id"]) == ("invalid_request", None)


async def test_frame_that_is_too_large_ends_the_connection(open_page: Open) -> None:
    page = await open_page()
    await page.socket.write_message("x" * 100_000)
    while await page.next() is not None:
        pass
    assert page.socket.close_code == 1009


async def test_load_counts_what_runs_and_what_waits(ask: Ask, open_page: Open) -> None:
    page = await open_page()
    jobs = [await begun(ask, "sleep 300") for _ in range(5)]
    load = await page.until(lambda m: m["type"] == "load" and (m["running"], m["queued"]) == (4, 1))
    assert load["places"] == 4
    assert load["cpus"] >= 1
    assert load["memory"] > 0
    asked = said(await ask("GET", "/load"))
    assert (asked["running"], asked["queued"]) == (4, 1)
    for job_id in reversed(jobs):
        await ask("POST", "/stop", job_id=job_id, timeout=0)
    await page.until(lambda m: m is page.told[-1] and m["type"] == "load" and not m["running"])


async def test_server_that_stops_says_so(open_page: Open, nds: Any) -> None:
    page = await open_page()
    closing = asyncio.ensure_future(nds._pages.close())
    while await page.next() is not None:
        pass
    await closing
    assert page.socket.close_code == 1001
