"""Inputs into containers and results out of them, on an engine in memory."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.plan import make_plan
from nds_jupyter.data.root import open_backend
from nds_jupyter.data.store import DataStore
from nds_jupyter.data.writing import Exists
from nds_jupyter.engines.base import ContainerStatus
from nds_jupyter.errors import DataUnavailable, EngineError, Forbidden, NotOffered
from nds_jupyter.jobs import (
    Input,
    Job,
    JobSpec,
    JobState,
    Limits,
    Phase,
    Reason,
    container_name,
    script_facts,
)
from nds_jupyter.journal import Journal
from nds_jupyter.journal_thread import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.engine.fake import SHELL, FakeEngine
from tests.waiting import until

Pieces = Callable[..., AsyncIterator[bytes]]


def spec(script: str, *inputs: str, **more: Any) -> JobSpec:
    digest, shebang = script_facts(script.encode())
    pairs = [each.partition(":") for each in inputs]
    data = tuple(Input(path=path, to=to or f"/data{path}") for path, _, to in pairs)
    return JobSpec(
        scriptname="job.sh",
        script_sha256=digest,
        script_shebang=shebang,
        image=SHELL,
        limits=Limits(cpus=1, memory=2**26, pids=64),
        data=data,
        **more,
    )


class Bench:
    """A runner, its engine and its data root."""

    def __init__(self, runner: JobRunner, engine: FakeEngine, store: DataStore) -> None:
        self.runner = runner
        self.engine = engine
        self.store = store

    async def begun(self, script: str, *inputs: str, **more: Any) -> Job:
        job, _ = await self.runner.submit("ada", spec(script, *inputs, **more), script.encode())
        return job

    async def ended(self, script: str, *inputs: str, **more: Any) -> Job:
        job = await self.begun(script, *inputs, **more)
        return await self.end_of(job)

    async def end_of(self, job: Job) -> Job:
        async with asyncio.timeout(60):
            return await self.runner.until(job.job_id, lambda job: job.is_finished)

    async def content(self, path: str) -> bytes:
        entry = await self.store.entry(path)
        return b"".join([piece async for piece in self.store.read(entry)])

    async def everything(self) -> list[str]:
        return [entry.path async for entry in self.store.walk("/")]


@asynccontextmanager
async def bench(store: DataStore, folder: Path, engine: FakeEngine) -> AsyncIterator[Bench]:
    journal = JournalThread(Journal.open(folder / "journal"))
    runner = JobRunner(
        journal, engine, RunnerSettings(max_running=4), logging.getLogger("nds"), store
    )
    await store.prepare()
    await runner.start()
    yield Bench(runner, engine, store)
    await runner.close()
    journal.close()


async def test_inputs_go_in_and_results_come_out(
    store: DataStore, tmp_path: Path, pieces: Pieces
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.make("/c/deep")
        await store.write("/x", pieces(b"one"))
        await store.write("/c/deep/y", pieces(b"two"))
        script = "cat /data/x; cat /in/deep/y; mkdir /results/d; echo three > /results/d/z"
        job = await at.ended(script, "/x", "/c:/in", output="/out/run-1")
        assert (job.state, job.message) == (JobState.COMPLETED, ""), job
        assert await at.content("/out/run-1/d/z") == b"three\n"
        container = at.engine.named(container_name(job.job_id))
        assert container is not None
        assert b"".join(data for _, _, data in container.log) == b"onetwo"
        assert sorted(await at.everything()) == [
            *("/c", "/c/deep", "/c/deep/y", "/out", "/out/run-1"),
            *("/out/run-1/d", "/out/run-1/d/z", "/x"),
        ]
        try:
            found = {avu.name: avu.value for avu in await store.metadata("/out/run-1/d/z")}
        except NotOffered:
            return
        assert (found["nds.job"], found["nds.script_sha256"]) == (
            job.job_id,
            job.spec.script_sha256,
        )
        assert Avu(name="nds.input", value="/c") in await store.metadata("/out/run-1/d/z")
        assert found["nds.image_digest"] == job.image_digest
    await store.close()


@pytest.mark.parametrize(
    ("inputs", "named"),
    [(["/none"], "/none"), (["/x/y"], "/x"), (["/x", "/c:/data/x/c"], "/x")],
)
async def test_what_can_not_go_in_fails_before_anything_moves(
    store: DataStore, tmp_path: Path, pieces: Pieces, inputs: list[str], named: str
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.make("/c")
        await store.write("/x", pieces(b"one"))
        job = await at.ended("true", *inputs)
        assert (job.state, job.reason) == (JobState.FAILED, Reason.DATA)
        assert named in job.message
        assert not at.engine.runs
        assert not at.engine.containers_by_id
    await store.close()


async def test_object_that_changes_meanwhile_fails_the_job(
    store: DataStore, tmp_path: Path, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.make("/c")
        await store.write("/c/x", pieces(b"one"))
        put = at.engine.put_archive

        async def put_and_change(container_id: str, path: str, archive: Any) -> None:
            await put(container_id, path, archive)
            if not isinstance(archive, bytes):
                await store.write("/c/x", pieces(b"two!"), exists=Exists.REPLACE)

        monkeypatch.setattr(at.engine, "put_archive", put_and_change)
        job = await at.ended("true", "/c")
        assert (job.reason, "/c/x changed" in job.message) == (Reason.DATA, True), job.message
        assert not at.engine.runs
        assert not at.engine.containers_by_id
    await store.close()


async def test_full_disk_of_the_container_is_told(
    store: DataStore, tmp_path: Path, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.write("/x", pieces(b"one"))
        put = at.engine.put_archive

        async def full(container_id: str, path: str, archive: Any) -> None:
            if not isinstance(archive, bytes):
                raise EngineError("/: the engine's disk is full. Free space there.")
            await put(container_id, path, archive)

        monkeypatch.setattr(at.engine, "put_archive", full)
        job = await at.ended("true", "/x")
        assert job.reason is Reason.DATA
        assert "/x" in job.message
        assert "disk is full" in job.message
        assert not at.engine.containers_by_id
    await store.close()


@pytest.mark.parametrize(("failures", "state"), [(2, "COMPLETED"), (99, "FAILED")])
async def test_dropped_connection_is_retried_and_then_told(
    store: DataStore,
    tmp_path: Path,
    pieces: Pieces,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    state: str,
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.write("/x", pieces(b"one"))
        read_range, left = store.backend.read_range, [failures]

        def flaky(path: str, start: int, stop: int) -> bytes:
            left[0] -= 1
            if left[0] >= 0:
                raise ConnectionResetError
            return read_range(path, start, stop)

        monkeypatch.setattr(store.backend, "read_range", flaky)
        store.retries = 2
        job = await at.ended("cat /data/x", "/x")
        assert job.state == state, job.message
        assert (job.reason is Reason.DATA and "/x" in job.message) == (state == "FAILED")
    await store.close()


async def test_engine_that_goes_away_while_staging_is_waited_for(
    store: DataStore, tmp_path: Path, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.write("/x", pieces(b"one"))
        at.engine.faults.lose_answer("put_archive", 3)
        job = await at.ended("cat /data/x", "/x")
        assert (job.state, list(at.engine.runs.values())) == (JobState.COMPLETED, [1]), job
    await store.close()


async def test_taken_place_of_results_is_refused_before_the_start(
    store: DataStore, tmp_path: Path, pieces: Pieces
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        await store.make("/out")
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
        await store.make("/empty")
        job = await at.ended(script, output="/empty")
        assert job.state is JobState.COMPLETED, job.message
        assert await at.content("/empty/z") == b"new\n"
    await store.close()


@pytest.mark.parametrize("wanted", [True, False])
async def test_results_of_a_failed_script_only_when_asked(
    store: DataStore, tmp_path: Path, wanted: bool
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        script = "echo half > /results/z; exit 3"
        job = await at.ended(script, output="/out", output_on_failure=wanted)
        assert (job.state, job.reason, job.exit_code) == (JobState.FAILED, Reason.EXIT, 3)
        assert (await store.find("/out/z") is not None) == wanted
    await store.close()


async def test_results_that_can_not_be_stored_fail_the_job_and_leave_nothing(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(store, tmp_path, FakeEngine()) as at:
        monkeypatch.setattr(store.backend, "has_digest", lambda path, digest: False)
        job = await at.ended("echo 1 > /results/a; echo 2 > /results/b", output="/out")
        assert (job.state, job.reason) == (JobState.FAILED, Reason.OUTPUT)
        assert job.message
        assert await store.find("/out") is None
        assert await hidden(store) == []
    await store.close()


async def hidden(store: DataStore) -> list[str]:
    full = store.backend.full("/")
    names = await asyncio.to_thread(store.backend.fs.ls, full, detail=False)
    return [name for name in names if ".nds-" in name]


class Gate:
    """Holds the calls of a backend's method until it is opened."""

    def __init__(self, store: DataStore, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        import threading

        self.reached = threading.Event()
        self.open = threading.Event()
        act = getattr(store.backend, method)

        def held(*args: Any) -> Any:
            self.reached.set()
            self.open.wait(60)
            return act(*args)

        monkeypatch.setattr(store.backend, method, held)


@pytest.mark.parametrize(
    ("method", "phase"), [("read_range", "staging"), ("open_write", "collecting")]
)
async def test_stop_works_while_data_moves(
    store: DataStore,
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
        assert (await at.runner.job(job.job_id)).phase == phase
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
    store: DataStore,
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
            assert (await at.runner.job(job.job_id)).phase == phase
            asyncio.get_running_loop().call_later(0.1, gate.open.set)
    async with bench(store, tmp_path, engine) as at:
        ended = await at.end_of(job)
        assert ended.state is JobState.COMPLETED, ended.message
        assert list(engine.runs.values()) == [1]
        assert await at.content("/out/a") == b"1\n"
        assert await hidden(store) == []
    await store.close()


async def test_crash_after_the_last_step_delivers_once(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    async with bench(store, tmp_path, engine) as at:
        applied = at.runner._board.apply

        async def lost(job_id: str, event: Any) -> Any:
            if type(event).__name__ == "Delivered":
                await asyncio.Event().wait()
            return await applied(job_id, event)

        monkeypatch.setattr(at.runner._board, "apply", lost)
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


async def test_root_that_is_away_is_told_and_not_waited_for_ever(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(path: str) -> Any:
        raise DataUnavailable(f"{path}: the data root does not answer.")

    async with bench(store, tmp_path, FakeEngine()) as at:
        store.retries = 1
        monkeypatch.setattr(store.backend, "entry", away)
        job = await at.ended("true", "/x")
        assert (job.reason, "/x" in job.message) == (Reason.DATA, True), job.message
    await store.close()


async def test_file_that_may_not_be_read_fails_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    store = DataStore(open_backend(str(tmp_path / "root")), threads=1)
    (tmp_path / "root" / "c").mkdir(parents=True)
    (tmp_path / "root" / "c" / "open").write_text("1")
    (tmp_path / "root" / "c" / "secret").touch(mode=0)
    # Permissions do not bind root, whom tests may run as.
    monkeypatch.setattr(os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o444))
    try:
        with pytest.raises(Forbidden, match="/c/secret"):
            await make_plan(store, (Input(path="/c", to="/data/c"),), 100)
    finally:
        await store.close()
