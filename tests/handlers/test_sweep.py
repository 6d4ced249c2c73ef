"""`POST /upload` with a sweep, on a fake engine."""

from __future__ import annotations

from typing import Any

import pytest

from nds_jupyter.journal import Journal
from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of

EVERY = {"script": "exit 0", "scriptname": "job.sh"}


@pytest.fixture
def engine_kind() -> str:
    return "fake"


async def all_ended(ask: Ask, sweep_id: str, count: int) -> list[dict[str, Any]]:
    while True:
        jobs = json_of(await ask("GET", "/jobs", sweep=sweep_id, limit=1000))
        assert len(jobs) == count
        left = [job for job in jobs if job["state"] == "RUNNING"]
        if not left:
            return jobs
        await ask("GET", "/upload", job_id=left[-1]["job_id"], wait=20)


async def test_each_point_is_a_job_of_one_sweep(ask: Ask) -> None:
    body = {**EVERY, "name": "train", "sweep": {"lr": [0.1, 0.01], "seed": [1, 2, 3]}}
    answer = await ask("POST", "/upload", body)
    jobs = json_of(answer)
    assert (answer.code, len(jobs)) == (201, 6)
    assert jobs[0]["name"] == "train lr=0.1 seed=1"
    assert jobs[5]["sweep"]["values"] == {"lr": 0.01, "seed": 3}
    assert [job["sweep"]["index"] for job in jobs] == list(range(6))
    assert "NDS_SWEEP_LR" in jobs[0]["env"]
    sweep_id = jobs[0]["sweep"]["sweep_id"]
    ended = await all_ended(ask, sweep_id, 6)
    assert {job["state"] for job in ended} == {"COMPLETED"}
    again = json_of(await ask("POST", f"/jobs/{jobs[0]['job_id']}/rerun"))
    assert again["sweep"] == jobs[0]["sweep"]


async def test_script_of_a_sweep_goes_with_its_last_job(ask: Ask, nds: Any) -> None:
    jobs = json_of(await ask("POST", "/upload", {**EVERY, "sweep": {"n": [1, 2]}}))
    await all_ended(ask, jobs[0]["sweep"]["sweep_id"], 2)
    count = "SELECT count(*) FROM scripts"

    async def scripts() -> int:
        return await nds._journal.call(lambda journal: journal._db.execute(count).fetchone()[0])

    assert await scripts() == 1
    assert (await ask("DELETE", f"/jobs/{jobs[0]['job_id']}")).code == 204
    assert await nds._journal.call(Journal.script, jobs[1]["job_id"]) == b"exit 0"
    assert (await ask("DELETE", f"/jobs/{jobs[1]['job_id']}")).code == 204
    assert await scripts() == 0


async def test_no_more_run_at_once_than_requested(ask: Ask, fake_engine: FakeEngine) -> None:
    body = {**EVERY, "script": "sleep 1000", "sweep": {"n": [1, 2, 3, 4]}, "max_concurrent": 1}
    jobs = json_of(await ask("POST", "/upload", body))
    first = jobs[0]["job_id"]
    while json_of(await ask("GET", "/upload", job_id=first))["phase"] != "running":
        pass
    assert len(fake_engine.containers_by_id) == 1
    for job in reversed(jobs):
        await ask("POST", "/stop", job_id=job["job_id"], timeout=0)
    assert fake_engine.runs == {f"nds-{first}": 1}


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"sweep": {}}, 400),
        ({"sweep": {"a": []}}, 400),
        ({"sweep": {"a": [[1]]}}, 400),
        ({"sweep": "lr"}, 400),
        ({"sweep": {"a": [1]}, "max_concurrent": 0}, 400),
        ({"max_concurrent": 2}, 400),
        ({"sweep": {"a": list(range(200)), "b": list(range(200))}}, 413),
    ],
)
async def test_what_is_no_sweep_is_refused_and_records_nothing(
    ask: Ask, wrong: dict[str, object], status: int
) -> None:
    answer = await ask("POST", "/upload", {**EVERY, **wrong})
    assert answer.code == status, answer.body
    assert json_of(await ask("GET", "/jobs")) == []


async def test_a_thousand_points_are_accepted_in_one_request(ask: Ask) -> None:
    sweep = {"a": list(range(10)), "b": list(range(10)), "c": list(range(10))}
    body = {**EVERY, "sweep": sweep, "max_concurrent": 1, "script": "sleep 1000"}
    answer = await ask("POST", "/upload", body)
    jobs = json_of(answer)
    assert (answer.code, len({job["job_id"] for job in jobs})) == (201, 1000)
    page = json_of(await ask("GET", "/jobs", sweep=jobs[0]["sweep"]["sweep_id"], limit=1000))
    assert [job["job_id"] for job in reversed(page)] == [job["job_id"] for job in jobs]
