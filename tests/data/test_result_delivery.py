"""Results out of containers, on an engine in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.jobs.job import (
    JobState,
    Reason,
)
from tests.data.inspection import Chunks, hidden_paths
from tests.data.runner_environment import runner_environment
from tests.engine.fake import FakeEngine


async def test_output_that_is_not_writable_is_refused_before_the_start(
    data_root: DataRoot, tmp_path: Path, chunks: Chunks
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.make_collection("/out")
        await data_root.write("/out/z", chunks(b"mine"))
        await data_root.write("/out/other", chunks(b"other"))
        script = "echo new > /results/z"
        for output in ("/out", "/out/z"):
            job = await at.run_job(script, output=output)
            assert (job.reason, output in job.message) == (Reason.OUTPUT, True)
        assert not at.engine.runs
        assert await at.content("/out/z") == b"mine"
        job = await at.run_job(script, output="/out", overwrite=True)
        assert job.state is JobState.COMPLETED, job.message
        assert await at.content("/out/z") == b"new\n"
        assert await at.content("/out/other") == b"other"
        await data_root.make_collection("/empty")
        job = await at.run_job(script, output="/empty")
        assert job.state is JobState.COMPLETED, job.message
        assert await at.content("/empty/z") == b"new\n"
    await data_root.close()


@pytest.mark.parametrize("wanted", [True, False])
async def test_results_of_a_failed_script_only_when_asked(
    data_root: DataRoot, tmp_path: Path, wanted: bool
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        script = "echo half > /results/z; exit 3"
        job = await at.run_job(script, output="/out", output_on_failure=wanted)
        assert (job.state, job.reason, job.exit_code) == (JobState.FAILED, Reason.EXIT, 3)
        assert (await data_root.find("/out/z") is not None) == wanted
    await data_root.close()


async def test_failed_delivery_fails_the_job_and_leaves_nothing(
    data_root: DataRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        monkeypatch.setattr(data_root.backend, "has_digest", lambda path, digest: False)
        job = await at.run_job("echo 1 > /results/a; echo 2 > /results/b", output="/out")
        assert (job.state, job.reason) == (JobState.FAILED, Reason.OUTPUT)
        assert job.message
        assert await data_root.find("/out") is None
        assert await hidden_paths(data_root) == []
    await data_root.close()
