"""Jobs whose image is built first: once for all that ask for it, live, and within the policy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nds_jupyter.jobs.job import BUILT_IMAGE_NAME
from tests.engine.fake import FakeEngine
from tests.handlers.http_client import Ask, json_of, run_script, submit_script, wait_for_end
from tests.waiting import until

RUN = "RUN echo made"
JOB = {"script": "exit 0", "scriptname": "a.sh"}


async def submitted(ask: Ask, **fields: object) -> str:
    return await submit_script(ask, str(fields.pop("script", "exit 0")), **fields)


class TestInMemory:
    """Builds of a fake engine, which a test can hold."""

    @pytest.fixture(params=["fake"])
    def engine_kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_jobs_that_ask_for_the_same_wait_for_one_build(
        self, ask: Ask, nds: Any, fake_engine: FakeEngine
    ) -> None:
        fake_engine.hold_pulls.clear()
        jobs = [await submitted(ask, dockerfile=RUN) for _ in range(3)]
        for each in jobs:
            await nds._runner.wait_until(each, lambda job: job.message.startswith("Step"))
        fake_engine.hold_pulls.set()
        assert [(await wait_for_end(ask, each))["state"] for each in jobs] == ["COMPLETED"] * 3
        later = await wait_for_end(ask, await submitted(ask, dockerfile=RUN))
        assert (later["state"], later["message"]) == ("COMPLETED", "")
        assert len(fake_engine.builds) == 1
        assert fake_engine.builds[0].dockerfile == f"FROM nds/shell:test\n{RUN}"
        assert {each.spec.image for each in fake_engine.containers_by_id.values()} == {
            fake_engine.builds[0].reference
        }

    async def test_engine_that_builds_nothing_refuses_such_jobs_at_once(
        self, ask: Ask, fake_engine: FakeEngine
    ) -> None:
        built = await submitted(ask, dockerfile=RUN)
        await wait_for_end(ask, built)
        fake_engine.can_build = False
        for answer in (
            await ask("POST", "/upload", {**JOB, "requirements": ["numpy"]}),
            await ask("POST", f"/jobs/{built}/rerun"),
        ):
            assert (answer.code, json_of(answer)["code"]) == (422, "refused_by_policy")
            assert "registry" in json_of(answer)["message"]
        assert len(json_of(await ask("GET", "/jobs"))) == 1

    async def test_job_that_is_stopped_leaves_the_build_to_others_and_the_last_one_ends_it(
        self, ask: Ask, nds: Any, fake_engine: FakeEngine
    ) -> None:
        fake_engine.hold_pulls.clear()
        one, other = [await submitted(ask, dockerfile=RUN) for _ in range(2)]
        for each in (one, other):
            await nds._runner.wait_until(each, lambda job: job.phase == "pulling")
        await ask("POST", "/stop", {}, job_id=one)
        await until(lambda: len(fake_engine.builds) == 1, "the build")
        assert fake_engine.open_streams == 1
        await ask("POST", "/stop", {}, job_id=other)
        assert (await wait_for_end(ask, other))["reason"] == "stopped"
        await until(lambda: fake_engine.open_streams == 0, "the end of the build")
        fake_engine.hold_pulls.set()
        assert (await wait_for_end(ask, await submitted(ask, dockerfile=RUN)))[
            "state"
        ] == "COMPLETED"
        assert len(fake_engine.builds) == 2

    async def test_engine_that_restarts_builds_again(
        self, ask: Ask, nds: Any, fake_engine: FakeEngine
    ) -> None:
        fake_engine.hold_pulls.clear()
        job_id = await submitted(ask, dockerfile=RUN)
        await nds._runner.wait_until(job_id, lambda job: job.message != "")
        fake_engine.faults.go_down()
        fake_engine.hold_pulls.set()
        await until(lambda: fake_engine.faults.calls["image"] > 1, "another try")
        fake_engine.faults.come_back()
        assert (await wait_for_end(ask, job_id))["state"] == "COMPLETED"

    async def test_requirements_come_as_a_file_beside_the_dockerfile(
        self, ask: Ask, fake_engine: FakeEngine
    ) -> None:
        await wait_for_end(ask, await submitted(ask, requirements=["numpy", "pandas>=2"]))
        await wait_for_end(ask, await submitted(ask, requirements="numpy\npandas>=2\n"))
        (build,) = fake_engine.builds
        assert build.files == {"requirements.txt": b"numpy\npandas>=2\n"}

    @pytest.mark.parametrize(
        "asked", [{"requirements": ["numpy"]}, {"dockerfile": "FROM nds/python:3.11\nRUN true"}]
    )
    async def test_specification_can_be_submitted_again(
        self, ask: Ask, fake_engine: FakeEngine, asked: dict[str, Any]
    ) -> None:
        first = await submitted(ask, **asked)
        spec = json_of(await ask("GET", f"/jobs/{first}"))
        again = await ask("POST", "/upload", spec)
        assert again.code == 201, again.body
        await wait_for_end(ask, first)
        await wait_for_end(ask, json_of(again)["job_id"])
        assert len({build.reference for build in fake_engine.builds}) == 1

    @pytest.mark.parametrize(
        ("asked", "word"),
        [
            ({"dockerfile": "FROM evil/miner:1\nRUN true"}, "evil/miner:1"),
            ({"dockerfile": "FROM nds/shell:test\nCOPY --from=evil/x /a /a"}, "evil/x:latest"),
            ({"dockerfile": f"FROM {BUILT_IMAGE_NAME}:0\nRUN true"}, BUILT_IMAGE_NAME),
            ({"dockerfile": "COPY . /"}, "no files"),
            ({"dockerfile": RUN, "requirements": ["numpy"]}, "both"),
            ({"requirements": []}, "empty"),
            ({"image_name": "evil/miner", "requirements": ["numpy"]}, "evil/miner"),
        ],
    )
    async def test_what_policy_forbids_is_refused_before_anything_is_recorded(
        self, ask: Ask, asked: dict[str, Any], word: str
    ) -> None:
        answer = await ask("POST", "/upload", {**JOB, **asked})
        assert answer.code in {400, 422}, answer.body
        assert word in json_of(answer)["message"]
        assert json_of(await ask("GET", "/jobs")) == []


class TestForbidden:
    """A server whose administrator wants no builds."""

    @pytest.fixture(params=["fake"])
    def engine_kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"]["allow_builds"] = False
        return jp_server_config

    async def test_build_is_refused(self, ask: Ask) -> None:
        answer = await ask("POST", "/upload", {**JOB, "dockerfile": RUN})
        assert answer.code == 422
        assert "builds no images" in json_of(answer)["message"]


class TestReal:
    """Builds of the engine."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        jp_server_config["NdsApp"]["keep_days"] = 0
        return jp_server_config

    async def test_job_finds_what_its_dockerfile_made_and_the_log_is_live(
        self, ask: Ask, jp_fetch: Any, owner: str
    ) -> None:
        dockerfile = f"RUN echo 'made for {owner}' | tee /made"
        job_id = await submitted(ask, dockerfile=dockerfile, script="cat /made")
        answer = await jp_fetch(
            "nds",
            "stdout",
            params={"job_id": job_id, "follow": "1"},
            headers={"Accept": "application/x-ndjson"},
            request_timeout=60,
        )
        lines = map(json.loads, answer.body.splitlines())
        streams = [line["stream"] for line in lines if line["text"] == f"made for {owner}"]
        assert streams == ["build", "stdout"]
        assert (await wait_for_end(ask, job_id))["state"] == "COMPLETED"

    async def test_build_that_fails_ends_the_job_with_its_last_lines(self, ask: Ask) -> None:
        job = await run_script(ask, "true", dockerfile="RUN echo why it failed; exit 7")
        assert (job["state"], job["reason"], job["container_id"]) == ("FAILED", "image", None)
        assert "why it failed" in job["message"]
        assert "7" in job["message"].splitlines()[0]

    async def test_retention_removes_what_no_container_is_made_of(
        self, ask: Ask, nds: Any, owner: str
    ) -> None:
        running = await submitted(
            ask, dockerfile=f"RUN echo {owner} one > /a", script="sleep 600", timeout=900
        )
        await nds._runner.wait_until(running, lambda job: job.started is not None)
        job = await run_script(ask, "true", dockerfile=f"RUN echo {owner} two > /a")
        assert job["state"] == "COMPLETED", job
        tags = [
            (await nds._runner.find_job(each)).spec.run_image for each in (running, job["job_id"])
        ]
        await nds._runner.run_cleanup()
        left = {name for image in await nds._engine.images() for name in image.references}
        assert left & set(tags) == {tags[0]}
        assert not any(
            row["name"] == BUILT_IMAGE_NAME for row in json_of(await ask("GET", "/list_images"))
        )
        await ask("DELETE", f"/jobs/{running}")
        await nds._runner.run_cleanup()
