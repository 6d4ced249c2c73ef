"""Stops and crashes while data moves, on an engine in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.engines.base import ContainerStatus
from nds_jupyter.jobs.job import (
    JobState,
    Phase,
    Reason,
)
from tests.data.inspection import Chunks, hidden_paths
from tests.data.runner_environment import Gate, runner_environment
from tests.engine.fake import FakeEngine
from tests.waiting import until


@pytest.mark.parametrize(
    ("method", "phase"), [("read_range", "staging"), ("open_write", "collecting")]
)
async def test_stop_works_while_data_moves(
    data_root: DataRoot,
    tmp_path: Path,
    chunks: Chunks,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    phase: str,
) -> None:
    async with runner_environment(data_root, tmp_path, FakeEngine()) as at:
        await data_root.write("/x", chunks(b"one"))
        gate = Gate(data_root, method, monkeypatch)
        job = await at.submit("echo 1 > /results/a", "/x", output="/out")
        await until(gate.reached.is_set, "the transfer begins")
        assert (await at.runner.find_job(job.job_id)).phase == phase
        stopping = asyncio.create_task(at.runner.stop(job, 0))
        asyncio.get_running_loop().call_later(0.1, gate.open.set)
        ended = await stopping
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.STOPPED)
        assert await data_root.find("/out") is None
        assert await hidden_paths(data_root) == []
        states = [each.status for each in at.engine.containers_by_id.values()]
        assert ContainerStatus.CREATED not in states
    await data_root.close()


@pytest.mark.parametrize(
    ("method", "phase"), [("read_range", "staging"), ("open_write", "collecting")]
)
async def test_killed_server_resumes_transfers_from_the_journal(
    data_root: DataRoot,
    tmp_path: Path,
    chunks: Chunks,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    phase: str,
) -> None:
    engine = FakeEngine()
    with monkeypatch.context() as patch:
        async with runner_environment(data_root, tmp_path, engine) as at:
            await data_root.write("/x", chunks(b"one"))
            gate = Gate(data_root, method, patch)
            job = await at.submit("cat /data/x; echo 1 > /results/a", "/x", output="/out")
            await until(gate.reached.is_set, "the transfer begins")
            assert (await at.runner.find_job(job.job_id)).phase == phase
            asyncio.get_running_loop().call_later(0.1, gate.open.set)
    async with runner_environment(data_root, tmp_path, engine) as at:
        ended = await at.wait_for_end(job)
        assert ended.state is JobState.COMPLETED, ended.message
        assert list(engine.runs.values()) == [1]
        assert await at.content("/out/a") == b"1\n"
        assert await hidden_paths(data_root) == []
    await data_root.close()


async def test_crash_after_the_last_step_delivers_once(
    data_root: DataRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    async with runner_environment(data_root, tmp_path, engine) as at:
        applied = at.runner._active_jobs.apply

        async def never_delivered(job_id: str, event: Any) -> Any:
            if type(event).__name__ == "OutputsDelivered":
                await asyncio.Event().wait()
            return await applied(job_id, event)

        monkeypatch.setattr(at.runner._active_jobs, "apply", never_delivered)
        job = await at.submit("echo 1 > /results/a", output="/out")
        found: list[object] = []

        async def look() -> None:
            while not found:
                there = await data_root.find("/out/a")
                found.extend([there] if there else [])

        async with asyncio.timeout(60):
            await look()
    async with runner_environment(data_root, tmp_path, engine) as at:
        ended = await at.wait_for_end(job)
        assert (ended.state, ended.phase) == (JobState.COMPLETED, Phase.FINISHED), ended.message
        assert await hidden_paths(data_root) == []
    await data_root.close()
