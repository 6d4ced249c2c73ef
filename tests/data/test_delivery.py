"""Results out of containers, on an engine in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.jobs.job import (
    JobState,
    Reason,
)
from tests.data.bench import bench
from tests.data.looking import Pieces, hidden
from tests.engine.fake import FakeEngine


async def test_taken_place_of_results_is_refused_before_the_start(
    store: DataRoot, tmp_path: Path, pieces: Pieces
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.make_collection("/out")
        await store.write("/out/z", pieces(b"mine"))
        await store.write("/out/other", pieces(b"other"))
        script = "echo new > /results/z"
        for output in ("/out", "/out/z"):
            job = await at.ended(script, output=output)
            assert (job.reason, output in job.message) == (Reason.OUTPUT, True)
        assert not at.engine.runs
        assert await at.content("/out/z") == b"mine"
        job = await at.ended(script, output="/out", overwrite=True)
        assert job.state is JobState.COMPLETED, job.message
        assert await at.content("/out/z") == b"new\n"
        assert await at.content("/out/other") == b"other"
        await store.make_collection("/empty")
        job = await at.ended(script, output="/empty")
        assert job.state is JobState.COMPLETED, job.message
        assert await at.content("/empty/z") == b"new\n"
    await store.close()


@pytest.mark.parametrize("wanted", [True, False])
async def test_results_of_a_failed_script_only_when_asked(
    store: DataRoot, tmp_path: Path, wanted: bool
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        script = "echo half > /results/z; exit 3"
        job = await at.ended(script, output="/out", output_on_failure=wanted)
        assert (job.state, job.reason, job.exit_code) == (JobState.FAILED, Reason.EXIT, 3)
        assert (await store.find("/out/z") is not None) == wanted
    await store.close()


async def test_results_that_can_not_be_stored_fail_the_job_and_leave_nothing(
    store: DataRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        monkeypatch.setattr(store.backend, "has_digest", lambda path, digest: False)
        job = await at.ended("echo 1 > /results/a; echo 2 > /results/b", output="/out")
        assert (job.state, job.reason) == (JobState.FAILED, Reason.OUTPUT)
        assert job.message
        assert await store.find("/out") is None
        assert await hidden(store) == []
    await store.close()
