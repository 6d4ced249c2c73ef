"""`GET /upload?wait=…`: answered at the job's end."""

from __future__ import annotations

import asyncio

import pytest

from tests.handlers.http_client import Ask, json_of

pytestmark = pytest.mark.engine


async def test_answer_comes_at_the_end_of_the_job(ask: Ask) -> None:
    script = {"script": "sleep 1; exit 3", "scriptname": "a.sh"}
    job = json_of(await ask("POST", "/upload", script))
    waiters = [ask("GET", "/upload", job_id=job["job_id"], wait=60) for _ in range(3)]
    ended = [json_of(answer) for answer in await asyncio.gather(*waiters)]
    assert [(each["state"], each["exit_code"]) for each in ended] == [("FAILED", 3)] * 3
    at_once = json_of(await ask("GET", "/upload", job_id=job["job_id"], wait=60))
    assert at_once["finished"] == ended[0]["finished"]


async def test_answer_comes_in_time_for_a_job_that_goes_on(ask: Ask) -> None:
    job = json_of(await ask("POST", "/upload", {"script": "sleep 300", "scriptname": "a.sh"}))
    waited = json_of(await ask("GET", "/upload", job_id=job["job_id"], wait=0.2))
    assert waited["state"] == "RUNNING"
    waiting = asyncio.ensure_future(ask("GET", "/upload", job_id=job["job_id"], wait=60))
    assert (await ask("DELETE", f"/jobs/{job['job_id']}")).code == 204
    # It ended before it was deleted, or is no more.
    assert (await waiting).code in {200, 404}


@pytest.mark.parametrize("wait", ["-1", "61", "soon"])
async def test_bad_wait_is_named(ask: Ask, wait: str) -> None:
    answer = await ask("GET", "/upload", job_id="0123456789abcdef", wait=wait)
    assert answer.code == 400
    assert "wait" in json_of(answer)["message"]
