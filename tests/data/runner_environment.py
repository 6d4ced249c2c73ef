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
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.jobs.job import Input, Job, JobSpec, Limits
from nds_jupyter.jobs.script import inspect_script
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.engine.fake import FakeEngine
from tests.engine.fake_images import SHELL


def job_spec(script: str, *inputs: str, **more: Any) -> JobSpec:
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


class RunnerEnvironment:
    """A runner, its engine and its data root."""

    def __init__(self, runner: JobRunner, engine: FakeEngine, data_root: DataRoot) -> None:
        self.runner = runner
        self.engine = engine
        self.data_root = data_root

    async def submit(self, script: str, *inputs: str, **more: Any) -> Job:
        job, _ = await self.runner.submit("ada", job_spec(script, *inputs, **more), script.encode())
        return job

    async def run_job(self, script: str, *inputs: str, **more: Any) -> Job:
        job = await self.submit(script, *inputs, **more)
        return await self.wait_for_end(job)

    async def wait_for_end(self, job: Job) -> Job:
        async with asyncio.timeout(60):
            return await self.runner.wait_until(job.job_id, lambda job: job.is_finished)

    async def content(self, path: str) -> bytes:
        entry = await self.data_root.entry(path)
        return b"".join([chunk async for chunk in self.data_root.read(entry)])

    async def all_paths(self) -> list[str]:
        return [entry.path async for entry in self.data_root.walk("/")]


@asynccontextmanager
async def runner_environment(
    data_root: DataRoot, folder: Path, engine: FakeEngine
) -> AsyncIterator[RunnerEnvironment]:
    journal = JournalThread(Journal.open(folder / "journal"))
    runner = JobRunner(
        journal,
        engine,
        RunnerSettings(max_running=4),
        logging.getLogger("nds"),
        DataRoots.of_one(data_root),
    )
    await data_root.prepare()
    await runner.start()
    yield RunnerEnvironment(runner, engine, data_root)
    await runner.close()
    journal.close()


class Gate:
    """Holds the calls of a backend's method until it is opened."""

    def __init__(self, data_root: DataRoot, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        act = getattr(data_root.backend, method)

        def blocked(*args: Any) -> Any:
            self.reached.set()
            self.open.wait(60)
            return act(*args)

        monkeypatch.setattr(data_root.backend, method, blocked)
