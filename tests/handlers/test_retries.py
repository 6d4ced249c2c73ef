"""Scripts whose container was lost: they run again where that was asked for, and only there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of

SCRIPT = {"script": "echo on; sleep 2; echo off", "scriptname": "a.sh"}


@pytest.fixture(params=["fake"])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def running(ask: Ask, nds: Any, job_id: str, attempt: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        await nds._runner.wait_until(
            job_id, lambda job: job.started is not None and job.attempts == attempt
        )
    job: dict[str, Any] = json_of(await ask("GET", "/upload", job_id=job_id))
    return job


def lose(engine: FakeEngine, job: dict[str, Any]) -> None:
    """Remove a container as somebody does who does not ask the server."""
    engine.containers_by_id.pop(job["container_id"]).end(137)


async def test_script_whose_container_was_removed_runs_again(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    job_id = json_of(await ask("POST", "/upload", {**SCRIPT, "retries": 1}))["job_id"]
    first = await running(ask, nds, job_id, 1)
    assert (first["retries"], first["attempts"]) == (1, 1)
    follow = asyncio.ensure_future(ask("GET", "/stdout", job_id=job_id, follow=1))
    lose(fake_engine, first)
    again = await running(ask, nds, job_id, 2)
    assert again["container_id"] != first["container_id"]
    ended = json_of(await ask("GET", "/upload", job_id=job_id, wait=60))
    assert (ended["state"], ended["attempts"], ended["message"]) == ("COMPLETED", 2, "")
    assert (await follow).body.endswith(b"on\noff\n")
    assert json_of(await ask("GET", f"/jobs/{job_id}"))["retries"] == 1


async def test_script_whose_container_was_removed_does_not_run_again_without_retries(
    ask: Ask, nds: Any, fake_engine: FakeEngine
) -> None:
    job_id = json_of(await ask("POST", "/upload", SCRIPT))["job_id"]
    lose(fake_engine, await running(ask, nds, job_id, 1))
    ended = json_of(await ask("GET", "/upload", job_id=job_id, wait=60))
    assert (ended["state"], ended["attempts"]) == ("UNKNOWN", 1)
    assert set(fake_engine.runs.values()) == {1}


@pytest.mark.parametrize(("retries", "status"), [(-1, 400), (11, 422), ("often", 400)])
async def test_number_of_retries_has_bounds(ask: Ask, retries: object, status: int) -> None:
    answer = await ask("POST", "/upload", {**SCRIPT, "retries": retries})
    assert answer.code == status
    assert json_of(answer)["message"].startswith("retries:")
