"""Inputs into containers, on an engine in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.data.entries import Avu
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import (
    DataUnavailable,
    EngineError,
    NotOffered,
)
from nds_jupyter.jobs.job import (
    JobState,
    Reason,
    container_name,
)
from tests.data.inspection import Chunks
from tests.data.runner_environment import runner_environment
from tests.engine.fake import FakeEngine


async def test_inputs_go_in_and_results_come_out(
    data_root: DataRoot, tmp_path: Path, chunks: Chunks
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.make_collection("/c/deep")
        await data_root.write("/x", chunks(b"one"))
        await data_root.write("/c/deep/y", chunks(b"two"))
        script = "cat /data/x; cat /in/deep/y; mkdir /results/d; echo three > /results/d/z"
        job = await at.run_job(script, "/x", "/c:/in", output="/out/run-1")
        assert (job.state, job.message) == (JobState.COMPLETED, ""), job
        assert await at.content("/out/run-1/d/z") == b"three\n"
        container = at.engine.named(container_name(job.job_id))
        assert container is not None
        assert b"".join(data for _, _, data in container.log) == b"onetwo"
        assert sorted(await at.all_paths()) == [
            *("/c", "/c/deep", "/c/deep/y", "/out", "/out/run-1"),
            *("/out/run-1/d", "/out/run-1/d/z", "/x"),
        ]
        try:
            found = {avu.name: avu.value for avu in await data_root.metadata("/out/run-1/d/z")}
        except NotOffered:
            return
        assert (found["nds.job"], found["nds.script_sha256"]) == (
            job.job_id,
            job.spec.script_sha256,
        )
        assert Avu(name="nds.input", value="/c") in await data_root.metadata("/out/run-1/d/z")
        assert found["nds.image_digest"] == job.image_digest
    await data_root.close()


@pytest.mark.parametrize(
    ("inputs", "named"),
    [(["/none"], "/none"), (["/x/y"], "/x"), (["/x", "/c:/data/x/c"], "/x")],
)
async def test_invalid_inputs_fail_before_any_transfer(
    data_root: DataRoot, tmp_path: Path, chunks: Chunks, inputs: list[str], named: str
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.make_collection("/c")
        await data_root.write("/x", chunks(b"one"))
        job = await at.run_job("true", *inputs)
        assert (job.state, job.reason) == (JobState.FAILED, Reason.DATA)
        assert named in job.message
        assert not at.engine.runs
        assert not at.engine.containers_by_id
    await data_root.close()


async def test_object_that_changes_meanwhile_fails_the_job(
    data_root: DataRoot, tmp_path: Path, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.make_collection("/c")
        await data_root.write("/c/x", chunks(b"one"))
        put = at.engine.put_archive

        async def put_and_change(container_id: str, path: str, archive: Any) -> None:
            await put(container_id, path, archive)
            if not isinstance(archive, bytes):
                await data_root.write("/c/x", chunks(b"two!"), exists=IfExists.REPLACE)

        monkeypatch.setattr(at.engine, "put_archive", put_and_change)
        job = await at.run_job("true", "/c")
        assert (job.reason, "/c/x changed" in job.message) == (Reason.DATA, True), job.message
        assert not at.engine.runs
        assert not at.engine.containers_by_id
    await data_root.close()


async def test_full_disk_of_the_container_is_reported(
    data_root: DataRoot, tmp_path: Path, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.write("/x", chunks(b"one"))
        put = at.engine.put_archive

        async def disk_full(container_id: str, path: str, archive: Any) -> None:
            if not isinstance(archive, bytes):
                raise EngineError("/: the engine's disk is full. Free space there.")
            await put(container_id, path, archive)

        monkeypatch.setattr(at.engine, "put_archive", disk_full)
        job = await at.run_job("true", "/x")
        assert job.reason is Reason.DATA
        assert "/x" in job.message
        assert "disk is full" in job.message
        assert not at.engine.containers_by_id
    await data_root.close()


@pytest.mark.parametrize(("failures", "state"), [(2, "COMPLETED"), (99, "FAILED")])
async def test_dropped_connection_is_retried_then_reported(
    data_root: DataRoot,
    tmp_path: Path,
    chunks: Chunks,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    state: str,
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.write("/x", chunks(b"one"))
        read_range, left = data_root.backend.read_range, [failures]

        def flaky(path: str, start: int, stop: int) -> bytes:
            left[0] -= 1
            if left[0] >= 0:
                raise ConnectionResetError
            return read_range(path, start, stop)

        monkeypatch.setattr(data_root.backend, "read_range", flaky)
        data_root.retries = 2
        job = await at.run_job("cat /data/x", "/x")
        assert job.state == state, job.message
        assert (job.reason is Reason.DATA and "/x" in job.message) == (state == "FAILED")
    await data_root.close()


async def test_staging_is_retried_after_the_engine_was_unreachable(
    data_root: DataRoot, tmp_path: Path, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.write("/x", chunks(b"one"))
        at.engine.faults.lose_answer("put_archive", 3)
        job = await at.run_job("cat /data/x", "/x")
        assert (job.state, list(at.engine.runs.values())) == (JobState.COMPLETED, [1]), job
    await data_root.close()


async def test_unreachable_root_is_reported_after_its_retries(
    data_root: DataRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(path: str) -> Any:
        raise DataUnavailable(f"{path}: the data root does not answer.")

    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        data_root.retries = 1
        monkeypatch.setattr(data_root.backend, "entry", unreachable)
        job = await at.run_job("true", "/x")
        assert (job.reason, "/x" in job.message) == (Reason.DATA, True), job.message
    await data_root.close()


async def test_collection_that_is_too_deep_for_a_container_is_refused(
    tmp_path: Path, jp_asyncio_loop: object
) -> None:
    deep = tmp_path / "root" / "c" / "/".join(["d"] * 300)
    await asyncio.to_thread(deep.mkdir, parents=True)
    data_root = DataRoot(open_backend(str(tmp_path / "root")))
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        job = await at.run_job("true", "/c")
        assert (job.reason, "/c/d/d" in job.message) == (Reason.DATA, True), job.message
        assert "too deep" in job.message
        assert not at.engine.containers_by_id
    await data_root.close()
