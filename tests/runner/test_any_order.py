"""Whatever happens in whatever order, each job comes to one of its allowed ends, run at most once.

Hypothesis chooses among submissions, stops, deletions, faults of engine and disk, containers
removed behind the runner's back, crashes of the server and the passing of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nds_jupyter.engines.base import ContainerStatus
from nds_jupyter.errors import (
    EngineError,
    EngineUnavailable,
    JobNotFound,
    NdsError,
    NodeLost,
    StorageFull,
)
from nds_jupyter.jobs.job import Job, JobSpec, Limits, Progress, container_name
from nds_jupyter.journal import Journal
from nds_jupyter.runner import JobRunner, RunnerSettings
from tests.engine.fake import FakeEngine
from tests.engine.fake_images import SHELL
from tests.runner.allowed_ends import LONGEST, MISSING, PULLABLE, SCRIPTS, Trouble, check_end
from tests.runner.crashable import CrashableJournal, Defects
from tests.runner.virtual_time import VirtualLoop

CLOCKED = (
    "nds_jupyter.runner.job_runner",
    "nds_jupyter.runner.script_run",
    "nds_jupyter.runner.job_lifecycle",
    "nds_jupyter.runner.retention",
    "tests.engine.fake_events",
    "tests.engine.fake_container",
)
METHODS = st.sampled_from(
    ["info", "image", "create", "put_archive", "path_exists", "start", "inspect", "stop", "remove"]
)


class AnyOrder(RuleBasedStateMachine):
    """A runner over a fake engine and a real journal."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.stack.enter_context(self.loop.clock_for(*CLOCKED))
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.log = logging.Logger("any-order")
        self.defects = Defects()
        self.log.addHandler(self.defects)
        self.engine = FakeEngine()
        self.engine.registry[PULLABLE] = (Progress(done=1, total=2, unit="bytes"),)
        self.jobs: dict[str, str] = {}
        self.retries: dict[str, int] = {}
        self.ends: dict[str, Job] = {}
        self.deleted: set[str] = set()
        self.requests: set[asyncio.Task[object]] = set()
        self.trouble = Trouble()

    @initialize()
    def server_starts(self) -> None:
        self.journal = CrashableJournal(Journal(self.folder / "journal.sqlite"))
        chosen = RunnerSettings(max_running=2)
        self.runner = JobRunner(self.journal, self.engine, chosen, self.log)
        self.run(self.runner.start())

    def run(self, work: Coroutine[object, object, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def act(self, deed: Callable[[], None]) -> None:
        """Do something on the event loop."""

        async def acting() -> None:
            deed()

        self.run(acting())

    def begin(self, work: Coroutine[object, object, object]) -> None:
        """Let a request go its way, as a server does."""

        async def begun() -> asyncio.Task[object]:
            return asyncio.ensure_future(work)

        self.requests.add(self.run(begun()))

    @rule(
        script=st.sampled_from(sorted(SCRIPTS)),
        image=st.sampled_from([SHELL, SHELL, SHELL, PULLABLE, MISSING]),
        timeout=st.sampled_from([None, None, 0.5, 20.0]),
        retries=st.sampled_from([0, 0, 1, 2]),
    )
    def submit(self, script: str, image: str, timeout: float | None, retries: int) -> None:
        spec = JobSpec(
            scriptname="job.sh",
            script_sha256="",
            script_shebang=False,
            image=image,
            limits=Limits(cpus=1, memory=2**26, pids=64),
            timeout=timeout,
            retries=retries,
        )
        known = self.unfinished()
        try:
            job, _ = self.run(self.runner.submit("ada", spec, script.encode()))
        except (EngineError, StorageFull):
            # Others may have come to their end meanwhile.
            assert self.unfinished() <= known
        else:
            self.jobs[job.job_id] = script
            self.retries[container_name(job.job_id)] = retries

    def unfinished(self) -> set[str]:
        """Return the jobs that the journal has and that have not ended."""
        return {job.job_id for job in self.journal._journal.unfinished()}

    @rule(data=st.data(), grace=st.sampled_from([0.0, 5.0, 100.0]))
    def stop(self, data: st.DataObject, grace: float) -> None:
        if job := self.choose(data):
            self.begin(self.runner.stop(job, grace))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if job := self.choose(data):
            self.deleted.add(job.job_id)
            self.begin(self.runner.delete(job))

    def choose(self, data: st.DataObject) -> Job | None:
        known = [each for each in self.jobs if self.journal._journal.job(each) is not None]
        if not known:
            return None
        chosen = data.draw(st.sampled_from(known))
        try:
            job: Job = self.run(self.runner.find_job(chosen))
        except JobNotFound:
            # A deletion that was under way has come to its end.
            return None
        return job

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 25.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(method=METHODS)
    def call_fails(self, method: str) -> None:
        self.engine.faults.refuse(method, EngineUnavailable("The engine does not answer."))

    @rule(method=METHODS)
    def call_is_refused(self, method: str) -> None:
        self.trouble.refused = True
        self.engine.faults.refuse(method, EngineError("The engine said: no."))

    @rule()
    def node_is_lost(self) -> None:
        self.trouble.node_was_lost = True
        self.engine.faults.refuse("inspect", NodeLost("The node went down."))

    @rule(method=METHODS)
    def answer_is_lost(self, method: str) -> None:
        self.engine.faults.lose_answer(method)

    @rule()
    def engine_goes_down(self) -> None:
        self.engine.faults.go_down()

    @rule()
    def engine_restarts(self) -> None:
        self.act(self.engine.restart)
        self.engine.faults.come_back()

    @rule()
    def engine_hangs(self) -> None:
        self.engine.faults.hang()

    @rule()
    def engine_comes_back(self) -> None:
        self.engine.faults.come_back()

    @rule(full=st.booleans())
    def engine_disk(self, full: bool) -> None:
        self.trouble.refused |= full
        self.engine.faults.disk_full = full

    @rule(full=st.booleans())
    def journal_disk(self, full: bool) -> None:
        self.journal.full = full

    @rule(data=st.data())
    def somebody_removes_a_container(self, data: st.DataObject) -> None:
        if self.engine.containers_by_id and self.engine.faults.up.is_set():
            found = data.draw(st.sampled_from(sorted(self.engine.containers_by_id)))
            container = self.engine.containers_by_id.pop(found)
            self.trouble.vanished.add(container.spec.name.removeprefix("nds-"))
            self.act(lambda: container.end(137))

    @rule()
    def server_is_killed(self) -> None:
        self.journal.dead = True
        for request in self.requests:
            request.cancel()
        self.run(self.runner.close())
        self.settle_requests()
        self.journal.close()
        self.server_starts()

    def settle_requests(self) -> None:
        """Look at what requests ended with: an answer, or an error that a user can read."""
        for request in [each for each in self.requests if each.done()]:
            self.requests.discard(request)
            if not request.cancelled():
                error = request.exception()
                assert error is None or isinstance(error, NdsError), error

    @invariant()
    def no_script_ran_again_unasked(self) -> None:
        for name, runs in self.engine.runs.items():
            lost = self.trouble.node_was_lost or name.removeprefix("nds-") in self.trouble.vanished
            assert runs <= 1 + self.retries[name] * lost, (name, runs)

    @invariant()
    def an_end_never_changes(self) -> None:
        for job_id in self.jobs:
            job = self.journal._journal.job(job_id)
            if job is not None and job.is_finished:
                assert self.ends.setdefault(job_id, job) == job

    @invariant()
    def nothing_met_a_defect(self) -> None:
        assert not self.defects.found, self.defects.found[0]
        self.settle_requests()

    def teardown(self) -> None:
        try:
            if hasattr(self, "runner"):
                self.all_is_well_again()
                self.every_job_has_an_allowed_end()
                self.nothing_half_made_is_left()
        finally:
            self.run(self.runner.close())
            self.journal.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.run(asyncio.sleep(0))
            self.loop.close()
            asyncio.set_event_loop(None)
            self.stack.close()

    def all_is_well_again(self) -> None:
        self.engine.faults.clear()
        self.journal.full = False
        self.run(asyncio.sleep(len(self.jobs) * LONGEST + 200))
        self.server_is_killed()
        self.run(asyncio.sleep(100))
        self.settle_requests()
        assert not self.requests
        assert not self.defects.found, self.defects.found[0]

    def every_job_has_an_allowed_end(self) -> None:
        for job_id, script in self.jobs.items():
            job = self.journal._journal.job(job_id)
            if job is None:
                assert job_id in self.deleted
                continue
            assert job == self.run(self.runner.find_job(job_id))
            assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job
            runs = self.engine.runs.get(container_name(job_id), 0)
            check_end(job, script, runs, self.trouble)

    def nothing_half_made_is_left(self) -> None:
        for container in self.engine.containers_by_id.values():
            assert container.status is ContainerStatus.EXITED, container.spec.name


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
