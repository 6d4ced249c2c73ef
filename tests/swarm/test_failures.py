"""Nodes that die or hang, a manager that restarts, a killed server: jobs end once, truly."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import docker
import msgspec
import pytest

from dev.swarm import Swarm
from nds_jupyter.engines.base import LABEL_JOB, ContainerSpec
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.jobs.job import Job, JobState, Limits, Network, Reason, container_name
from nds_jupyter.journal import Journal
from tests.swarm.conftest import OpenHarness, wait_for

pytestmark = pytest.mark.swarm

THREE = ("node.hostname==node3",)
JOBS = 50
ROOT = Path(__file__).resolve().parents[2]

SERVER = """
import asyncio, json, sys
from pathlib import Path
from tests.swarm.conftest import RunnerHarness, spec
import logging
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings

async def main():
    engine = SwarmEngine(None, SwarmSettings(endpoints=tuple(json.loads(sys.argv[1]))))
    journal = JournalThread(Journal.open(Path(sys.argv[2])))
    runner = JobRunner(journal, engine, RunnerSettings(), logging.getLogger("nds"))
    await runner.start()
    harness = RunnerHarness(runner, engine)
    jobs = [await harness.submit("echo ran; sleep 0.3; exit 5") for _ in range(int(sys.argv[3]))]
    print("submitted", flush=True)
    await harness.wait_for_end(jobs[len(jobs) // 5])
    print("some", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def killed(swarm: Swarm) -> None:
    await asyncio.to_thread(swarm.nodes[2].kill)


async def test_job_whose_script_ran_on_a_lost_node_fails_and_never_runs_again(
    open_harness: OpenHarness, node3_dies: Swarm, settings: SwarmSettings
) -> None:
    async with open_harness(msgspec.structs.replace(settings, lost_after=1.0)) as harness:
        job = await harness.wait_for_start(
            await harness.submit("echo ran; sleep 600", constraints=THREE)
        )
        await killed(node3_dies)
        ended = await harness.wait_for_end(job)
        assert (ended.state, ended.reason) == (JobState.FAILED, Reason.ENGINE)
        # Who notices first: the server that its node is down, or the manager that gives it up.
        assert re.search("node3 went down|The Swarm took the job off node3", ended.message)
        other = await harness.wait_for_end(await harness.submit("exit 0"))
        assert (other.state, other.worker != "node3") == (JobState.COMPLETED, True)


async def test_job_whose_script_ran_on_a_lost_node_runs_again_if_that_was_asked_for(
    open_harness: OpenHarness,
    node3_dies: Swarm,
    label: Callable[[int], None],
    settings: SwarmSettings,
) -> None:
    here = ("node.labels.here==yes",)
    label(3)
    async with open_harness(msgspec.structs.replace(settings, lost_after=1.0)) as harness:
        job = await harness.submit("echo ran; sleep 5", constraints=here, retries=1)
        first = await harness.wait_for_start(job)
        assert (first.worker, first.attempts) == ("node3", 1)
        await killed(node3_dies)
        label(2)
        again = await harness.until(job, lambda job: job.attempts == 2)
        assert again.container_id not in {None, first.container_id}
        ended = await harness.wait_for_end(job)
        assert (ended.state, ended.worker, ended.attempts) == (JobState.COMPLETED, "node2", 2)
        assert await harness.read_log(ended) == "ran\n"
        # The node is back, with a container that nobody needs any more.
        await asyncio.to_thread(node3_dies.nodes[2].start)

        async def rows() -> bool:
            found = await harness.engine.containers({LABEL_JOB: job.job_id}, include_ended=True)
            there = await node_containers(node3_dies, job.job_id)
            return [row.id for row in found] == [ended.container_id] and not there

        await wait_for(rows, "the removal of what the lost node had")


async def node_containers(swarm: Swarm, job_id: str) -> list[dict[str, object]]:
    client = docker.APIClient(swarm.nodes[2].endpoint.url, timeout=20)
    try:
        filters = {"label": f"{LABEL_JOB}={job_id}"}
        found: list[dict[str, object]] = await asyncio.to_thread(
            client.containers, all=True, filters=filters
        )
        return found
    finally:
        client.close()


async def test_job_that_is_staged_on_a_lost_node_starts_on_another(
    settings: SwarmSettings, node3_dies: Swarm
) -> None:
    engine = SwarmEngine(None, settings)
    try:
        job_id = "00000000000000aa"
        wanted = ContainerSpec(
            name=container_name(job_id),
            image="nds/shell:test",
            command=("sh", "-c", "exit 0"),
            env={},
            labels={LABEL_JOB: job_id},
            limits=Limits(cpus=0.1, memory=32 << 20, pids=50),
            network=Network.BRIDGE,
        )
        there = msgspec.structs.replace(wanted, constraints=THREE)
        first = await engine.create(there)
        assert await engine.worker(first) == "node3"
        await killed(node3_dies)

        async def down() -> bool:
            return any("is down" in report.message for report in await engine.nodes())

        await wait_for(down, "the manager's word that node 3 is down")
        second = await engine.create(wanted)
        assert second != first
        assert await engine.worker(second) != "node3"
        await engine.start(second)
    finally:
        await engine.close()


async def test_job_waits_for_a_node_that_is_down_and_runs_when_it_is_back(
    open_harness: OpenHarness, node3_dies: Swarm
) -> None:
    async with open_harness() as harness:
        await killed(node3_dies)

        async def down() -> bool:
            return any("is down" in report.message for report in await harness.engine.nodes())

        await wait_for(down, "the manager's word that node 3 is down")
        job = await harness.submit("exit 0", constraints=THREE)
        await harness.until(job, lambda job: "no suitable node" in job.message)
        await asyncio.to_thread(node3_dies.nodes[2].start)
        ended = await harness.wait_for_end(job)
        assert (ended.state, ended.worker) == (JobState.COMPLETED, "node3"), ended.message


async def test_node_that_hangs_is_named_and_not_waited_for(
    open_harness: OpenHarness, clean_swarm: Swarm, settings: SwarmSettings
) -> None:
    hurried = msgspec.structs.replace(settings, node_deadline=1.0)
    async with open_harness(hurried) as harness:
        job = await harness.wait_for_start(await harness.submit("sleep 600", constraints=THREE))
        with clean_swarm.nodes[2].frozen():
            began = time.monotonic()
            rows = await harness.engine.containers({LABEL_JOB: job.job_id}, include_ended=True)
            took = time.monotonic() - began
            assert [(row.id, row.worker) for row in rows] == [(job.container_id, "node3")]
            assert "node3 has not answered in 1 s" in rows[0].status
            assert took < 5
            reports = {report.name: report for report in await harness.engine.nodes()}
            assert reports["node1"].reachable
            assert not reports["node3"].reachable
        await harness.runner.stop(job, 0)


async def test_manager_s_restart_in_the_middle_of_many_jobs_loses_none(
    open_harness: OpenHarness, clean_swarm: Swarm
) -> None:
    async with open_harness() as harness:
        elsewhere = ("node.role==worker",)
        script = "echo ran; sleep 0.5; exit 5"
        jobs = [await harness.submit(script, constraints=elsewhere) for _ in range(JOBS)]
        await harness.wait_for_end(jobs[4])
        await asyncio.to_thread(clean_swarm.manager.stop)
        await asyncio.to_thread(clean_swarm.manager.start)
        ended = await asyncio.gather(*map(harness.wait_for_end, jobs))
        assert {(job.state, job.reason, job.exit_code) for job in ended} == {
            (JobState.FAILED, Reason.EXIT, 5)
        }
        assert {await harness.read_log(job) for job in ended} == {"ran\n"}


def killed_in_the_middle(command: list[str]) -> list[str]:
    """Run a server until some of its jobs have ended, then kill it; return what it said."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert server.stdout is not None
    said = [server.stdout.readline() for _ in range(2)]
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    return said


@pytest.mark.parametrize(("reached", "number"), [(3, JOBS), (2, 12)])
async def test_killed_server_is_taken_over_and_every_job_ends_once(
    open_harness: OpenHarness, settings: SwarmSettings, tmp_path: Path, reached: int, number: int
) -> None:
    # A node without an endpoint lets its scripts go in another way.
    known = msgspec.structs.replace(settings, endpoints=settings.endpoints[:reached])
    command = [
        *(sys.executable, "-c", SERVER),
        msgspec.json.encode(known.endpoints).decode(),
        *(str(tmp_path / "journal"), str(number)),
    ]
    said = await asyncio.to_thread(killed_in_the_middle, command)
    assert said == ["submitted\n", "some\n"]
    async with open_harness(known) as harness:
        page = await harness.runner._journal.call(_every_job)
        assert len(page) == number
        ended = await asyncio.gather(*map(harness.wait_for_end, page))
        assert {(job.state, job.reason, job.exit_code) for job in ended} == {
            (JobState.FAILED, Reason.EXIT, 5)
        }
        assert {await harness.read_log(job) for job in ended} == {"ran\n"}
        assert {job.worker for job in ended} == {"node1", "node2", "node3"}


def _every_job(journal: Journal) -> list[Job]:
    return journal._jobs("ORDER BY n")
