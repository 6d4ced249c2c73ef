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
from tests.data.bench import Gate, bench
from tests.data.looking import Pieces, hidden
from tests.engine.fake import FakeEngine
from tests.waiting import until


@pytest.mark.parametrize(
    ("method", "phase"), [("read_range", "staging"), ("open_write", "collecting")]
)
async def test_stop_works_while_data_moves(
    store: DataRoot,
    tmp_path: Path,
    pieces: Pieces,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    phase: str,
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.write("/x", pieces(b"one"))
        gate = Gate(store, method, monkeypatch)
        job = await at.begun("echo 1 > /results/a", "/x", output="/out")
        await until(gate.reached.is_set, "the transfer begins")
        assert (await at.runner.find_job(job.job_id)).phase == phase
        stopping = asyncio.create_task(at.runner.stop(job, 0))
        asyncio.get_running_loop().call_later(0.1, gate.open.set)
        ended = await stopping
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.STOPPED)
        assert await store.find("/out") is None
        assert await hidden(store) == []
        states = [each.status for each in at.engine.containers_by_id.values()]
        assert ContainerStatus.CREATED not in states
    await store.close()


@pytest.mark.parametrize(
    ("method", "phase"), [("read_range", "staging"), ("open_write", "collecting")]
)
async def test_killed_server_takes_up_the_data_where_the_journal_stands(
    store: DataRoot,
    tmp_path: Path,
    pieces: Pieces,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    phase: str,
) -> None:
    engine = FakeEngine()
    with monkeypatch.context() as patch:
        async with bench(store, tmp_path, engine) as at:
            await store.write("/x", pieces(b"one"))
            gate = Gate(store, method, patch)
            job = await at.begun("cat /data/x; echo 1 > /results/a", "/x", output="/out")
            await until(gate.reached.is_set, "the transfer begins")
            assert (await at.runner.find_job(job.job_id)).phase == phase
            asyncio.get_running_loop().call_later(0.1, gate.open.set)
    async with bench(store, tmp_path, engine) as at:
        ended = await at.end_of(job)
        assert ended.state is JobState.COMPLETED, ended.message
        assert list(engine.runs.values()) == [1]
        assert await at.content("/out/a") == b"1\n"
        assert await hidden(store) == []
    await store.close()


async def test_crash_after_the_last_step_delivers_once(
    store: DataRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    async with bench(store, tmp_path, engine) as at:
        applied = at.runner._active_jobs.apply

        async def never_delivered(job_id: str, event: Any) -> Any:
            if type(event).__name__ == "OutputsDelivered":
                await asyncio.Event().wait()
            return await applied(job_id, event)

        monkeypatch.setattr(at.runner._active_jobs, "apply", never_delivered)
        job = await at.begun("echo 1 > /results/a", output="/out")
        found: list[object] = []

        async def look() -> None:
            while not found:
                there = await store.find("/out/a")
                found.extend([there] if there else [])

        async with asyncio.timeout(60):
            await look()
    async with bench(store, tmp_path, engine) as at:
        ended = await at.end_of(job)
        assert (ended.state, ended.phase) == (JobState.COMPLETED, Phase.FINISHED), ended.message
        assert await hidden(store) == []
    await store.close()
