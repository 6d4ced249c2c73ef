"""How many jobs run at once, how long their containers are kept, and what is left afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of, run_script
from tests.waiting import until


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def engine_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


SCRIPT = "echo first; echo last; echo bad >&2; printf x > /results/made"


class TestKeptByNumber:
    """The newest finished job's container is kept."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"]["keep_jobs"] = 1
        return jp_server_config

    async def test_older_containers_go_and_unfinished_ones_stay(self, ask: Ask, nds: Any) -> None:
        old, new = [await run_script(ask, SCRIPT) for _ in range(2)]
        answer = await ask("POST", "/upload", {"script": "sleep 600", "scriptname": "a.sh"})
        running = json_of(answer)["job_id"]
        await nds._runner.wait_until(running, lambda job: job.started is not None)
        assert await nds._runner.run_cleanup() == 1
        assert await nds._runner.run_cleanup() == 0
        rows = json_of(await ask("GET", "/list_container"))
        assert {row["job_id"] for row in rows} == {new["job_id"], running}
        assert (await ask("GET", "/info", cont_id=old["container_id"])).code == 410
        await ask("DELETE", f"/jobs/{running}")


class TestLookedForOften:
    """What is no longer kept goes by itself, soon, on a fake engine."""

    @pytest.fixture(params=["fake"])
    def engine_kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"] |= {"keep_jobs": 0, "keep_interval": 1}
        return jp_server_config

    async def test_containers_go_after_the_configured_interval(
        self, ask: Ask, fake_engine: FakeEngine
    ) -> None:
        for _ in range(2):
            await run_script(ask, SCRIPT)
            await until(lambda: not fake_engine.containers_by_id, "no container")


class TestKeptByAge:
    """No finished container is kept."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"]["keep_days"] = 0
        jp_server_config["NdsApp"]["keep_log_bytes"] = 8
        return jp_server_config

    async def test_what_is_gone_says_when_and_what_is_left(self, ask: Ask, nds: Any) -> None:
        job = await run_script(ask, SCRIPT)
        assert await nds._runner.run_cleanup() == 1
        job_id, container = job["job_id"], job["container_id"]
        for way in ({"job_id": job_id}, {"cont_id": container}, {"cont_id": f"nds-{job_id}"}):
            answer = await ask("GET", "/results", **way)
            assert answer.code == 410
            assert "still there" in json_of(answer)["message"]
            assert "UTC" in json_of(answer)["message"]
        assert json_of(await ask("GET", "/upload", job_id=job_id))["state"] == "COMPLETED"
        log = json_of(await ask("GET", "/stdout", job_id=job_id))
        assert log["truncated"]
        assert log["stdout"]
        diff = json_of(await ask("GET", "/diff", job_id=job_id))
        assert [(row["path"], row["kind"]) for row in diff] == [("/results/made", "added")]
        assert (await ask("GET", "/metric", job_id=job_id)).code == 200
        stopped = json_of(await ask("POST", "/stop", job_id=job_id))
        assert stopped["state"] == "success"
        assert json_of(await ask("POST", f"/jobs/{job_id}/rerun"))["job_id"] != job_id
        assert (await ask("DELETE", f"/jobs/{job_id}")).code == 204


class TestPlaces:
    """Two jobs run at once, on a fake engine."""

    @pytest.fixture(params=["fake"])
    def engine_kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"]["max_running"] = 2
        return jp_server_config

    async def test_no_more_than_that_run_and_the_rest_follow_in_order(
        self, ask: Ask, nds: Any, fake_engine: FakeEngine
    ) -> None:
        jobs = []
        for _ in range(5):
            body = {"script": "sleep 600", "scriptname": "a.sh"}
            jobs.append(json_of(await ask("POST", "/upload", body))["job_id"])
        for count in range(2, 6):
            began = [f"nds-{job_id}" for job_id in jobs[:count]]
            await until(lambda: len(fake_engine.runs) >= count, "the next job")  # noqa: B023
            assert set(fake_engine.runs) == set(began)
            running = [each for each in fake_engine.containers_by_id.values() if each.running]
            assert len(running) == 2
            ended = fake_engine.named(began[count - 2])
            assert ended is not None
            ended.end(0)

    async def test_queued_job_is_stopped_without_a_container(
        self, ask: Ask, nds: Any, fake_engine: FakeEngine
    ) -> None:
        body = {"script": "sleep 600", "scriptname": "a.sh"}
        jobs = [json_of(await ask("POST", "/upload", body))["job_id"] for _ in range(3)]
        await until(lambda: len(fake_engine.runs) == 2, "two jobs")
        async with asyncio.timeout(30):
            assert json_of(await ask("POST", "/stop", job_id=jobs[2]))["state"] == "success"
        ended = json_of(await ask("GET", "/upload", job_id=jobs[2]))
        assert (ended["state"], ended["reason"]) == ("FAILED", "stopped")
        assert fake_engine.named(f"nds-{jobs[2]}") is None
