"""A runner on an engine in memory, with a data root."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.jobs.job import Input, Job, JobSpec, Limits
from nds_jupyter.jobs.script import inspect_script
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.engine.fake import FakeEngine
from tests.engine.fake_images import SHELL


def spec(script: str, *inputs: str, **more: Any) -> JobSpec:
    digest, shebang = inspect_script(script.encode())
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

    def __init__(self, runner: JobRunner, engine: FakeEngine, store: DataRoot) -> None:
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
            return await self.runner.wait_until(job.job_id, lambda job: job.is_finished)

    async def content(self, path: str) -> bytes:
        entry = await self.store.entry(path)
        return b"".join([piece async for piece in self.store.read(entry)])

    async def everything(self) -> list[str]:
        return [entry.path async for entry in self.store.walk("/")]


@asynccontextmanager
async def bench(store: DataRoot, folder: Path, engine: FakeEngine) -> AsyncIterator[Bench]:
    journal = JournalThread(Journal.open(folder / "journal"))
    runner = JobRunner(
        journal, engine, RunnerSettings(max_running=4), logging.getLogger("nds"), store
    )
    await store.prepare()
    await runner.start()
    yield Bench(runner, engine, store)
    await runner.close()
    journal.close()


class Gate:
    """Holds the calls of a backend's method until it is opened."""

    def __init__(self, store: DataRoot, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        act = getattr(store.backend, method)

        def blocked(*args: Any) -> Any:
            self.reached.set()
            self.open.wait(60)
            return act(*args)

        monkeypatch.setattr(store.backend, method, blocked)
