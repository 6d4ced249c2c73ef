"""A node without an endpoint: jobs that need nothing but their script run there, once."""

from __future__ import annotations

import asyncio
import io
import tarfile

import msgspec
import pytest

from dev.swarm import Swarm
from nds_jupyter.engines.base import (
    LABEL_JOB,
    ContainerSpec,
    ContainerStatus,
    LogRequest,
    LogStream,
)
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.engines.swarm.node_engine import LABEL_LOG
from nds_jupyter.errors import NoEndpoint, NotPlaced
from nds_jupyter.jobs.job import JobState, Limits, Network, Reason, container_name
from tests.swarm.conftest import OpenHarness, wait_for

pytestmark = pytest.mark.swarm

THREE = ("node.hostname==node3",)


@pytest.fixture
def settings(clean_swarm: Swarm) -> SwarmSettings:
    """Name the endpoints of two nodes of three."""
    return SwarmSettings(
        endpoints=tuple(clean_swarm.endpoints[:2]), node_deadline=3.0, lost_after=1.0
    )


def wanted(job_id: str, **changes: object) -> ContainerSpec:
    fields = {
        "name": container_name(job_id),
        "image": "nds/shell:test",
        "command": ("sh", "/nds/job.sh"),
        "env": {},
        "labels": {LABEL_JOB: job_id},
        "limits": Limits(cpus=0.1, memory=32 << 20, pids=50),
        "network": Network.BRIDGE,
        "constraints": THREE,
    }
    return ContainerSpec(**{**fields, **changes})  # type: ignore[arg-type]


def with_script(text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("nds/job.sh")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def placed(engine: SwarmEngine, spec: ContainerSpec) -> str:
    async with asyncio.timeout(60):
        while True:
            try:
                return await engine.create(spec)
            except NotPlaced:
                await asyncio.sleep(0.1)


async def log_of(engine: SwarmEngine, container: str) -> str:
    chunks = engine.logs(container, LogRequest())
    return b"".join([chunk.data async for chunk in chunks]).decode()


async def test_missing_program_is_distinguished_from_a_script_that_ends_alike(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        jobs = [
            await harness.submit("exit 0", command=("nosuchprogram", "-x"), constraints=THREE),
            await harness.submit("print()", scriptname="job.py", constraints=THREE),
            await harness.submit("#!/bin/nosuchshell\nexit 0", constraints=THREE),
            await harness.submit("nosuchprogram", constraints=THREE),
        ]
        named, python, first, ran = await asyncio.gather(*map(harness.wait_for_end, jobs))
        assert {job.worker for job in (named, python, first, ran)} == {"node3"}
        assert (named.reason, named.exit_code) == (Reason.IMAGE, 127), named
        assert "nds/shell:test has no program nosuchprogram. Choose" in named.message
        assert (python.reason, python.exit_code) == (Reason.IMAGE, 127), python
        assert "has no python3 or python to run job.py with." in python.message
        assert (first.reason, first.exit_code) == (Reason.IMAGE, 127), first
        assert "the first line of job.sh, #!/bin/nosuchshell. Choose" in first.message
        assert (ran.reason, ran.exit_code) == (Reason.EXIT, 127), ran


async def test_job_without_inputs_runs_and_its_log_comes_through_the_manager(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        script = "echo out; echo err >&2; echo > /results/x; exit 3"
        job = await harness.wait_for_end(await harness.submit(script, constraints=THREE))
        assert (job.reason, job.exit_code, job.worker) == (Reason.EXIT, 3, "node3"), job
        assert job.started is not None
        assert sorted((await harness.read_log(job)).splitlines()) == ["err", "out"]
        rows = await harness.engine.containers({LABEL_JOB: ""}, include_ended=True)
        assert [(row.id, row.worker, row.state) for row in rows] == [
            (job.container_id, "node3", ContainerStatus.EXITED)
        ]
        seen = await harness.engine.inspect(job.container_id or "")
        assert (seen.state, seen.exit_code) == (ContainerStatus.EXITED, 3)
        assert "node3" in seen.out_of_reach
        with pytest.raises(NoEndpoint, match=r"node3.*c\.NdsApp\.endpoints"):
            await harness.engine.diff(job.container_id or "")
        await harness.runner.delete(job)
        manager = harness.engine._nodes.endpoints[0]
        assert await manager.configs([LABEL_JOB]) == ()
        assert await manager.services([LABEL_JOB]) == ()


async def test_running_job_is_followed_to_its_end_and_another_is_stopped(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        job = await harness.wait_for_start(
            await harness.submit("echo on; sleep 3; echo off", constraints=THREE)
        )
        async with asyncio.timeout(60):
            chunks = harness.engine.logs(job.container_id or "", LogRequest(follow=True))
            followed = b"".join([chunk.data async for chunk in chunks])
        assert followed == b"on\noff\n"
        assert (await harness.wait_for_end(job)).state is JobState.COMPLETED
        script = "echo first; echo second; sleep 600"
        endless = await harness.wait_for_start(await harness.submit(script, constraints=THREE))
        stopped = await harness.runner.stop(endless, 1)
        assert stopped.reason is Reason.STOPPED
        assert (
            await harness.engine.containers({LABEL_JOB: endless.job_id}, include_ended=False) == ()
        )
    async with open_harness() as harness:
        # Its container is gone, and another server has its log.
        assert await harness.read_log(stopped) == "first\nsecond\n"
        stamped = LogRequest(timestamps=True, tail=1, stream=LogStream.STDOUT)
        chunks = [chunk async for chunk in harness.engine.logs(stopped.container_id or "", stamped)]
        assert [chunk.data.split(b" ")[1:] for chunk in chunks] == [[b"second\n"]]
        await harness.runner.delete(await harness.runner.find_job(stopped.job_id))
        assert await harness.engine._nodes.endpoints[0].configs([LABEL_LOG]) == ()


async def test_script_that_is_started_again_after_a_crash_runs_once(
    settings: SwarmSettings,
) -> None:
    job_id = "00000000000000bb"
    spec = wanted(job_id, env={"NDS_JOB_ID": job_id})
    first, second = SwarmEngine(None, settings), SwarmEngine(None, settings)
    try:
        waiting = await placed(first, spec)
        await first.put_archive(waiting, "/", with_script("echo ran; sleep 2"))
        # As a server does that was killed before it started the script.
        assert (await second.inspect(waiting)).state is ContainerStatus.CREATED
        runs = await first.start(waiting)
        assert runs is not None
        assert runs != waiting
        # As one does that was killed before it wrote down what the first call answered.
        assert (await second.inspect(container_name(job_id))).id == runs
        assert await second.start(container_name(job_id)) == runs
        assert await first.start(waiting) == runs

        async def ended() -> bool:
            return (await second.inspect(runs)).state is ContainerStatus.EXITED

        await wait_for(ended, "the end of the script")
        assert await second.start(container_name(job_id)) == runs
        assert await log_of(second, runs) == "ran\n"
        assert (await first.inspect(waiting)).id == runs
    finally:
        await first.close()
        await second.close()


async def test_what_was_not_started_is_created_again_by_another_server(
    settings: SwarmSettings,
) -> None:
    spec = wanted("00000000000000cc")
    first, second = SwarmEngine(None, settings), SwarmEngine(None, settings)
    try:
        left = await placed(first, spec)
        # Nothing was put into it: nobody can tell whether a file released it. It is waited for on.
        with pytest.raises(NoEndpoint):
            await second.inspect(left)
        assert await placed(second, spec) == left
        await second.put_archive(left, "/", with_script("echo ran"))
        runs = await second.start(left)
        assert runs is not None

        async def ended() -> bool:
            return (await second.inspect(runs)).state is ContainerStatus.EXITED

        await wait_for(ended, "the end of the script")
        assert await log_of(second, runs) == "ran\n"
    finally:
        await first.close()
        await second.close()


async def test_job_with_data_is_kept_from_a_node_that_nothing_can_be_put_into(
    settings: SwarmSettings, clean_swarm: Swarm
) -> None:
    engine = SwarmEngine(None, settings)
    everywhere = [wanted(f"{number:016x}", constraints=()) for number in range(6)]
    try:
        with_data = [msgspec.structs.replace(each, transfers=True) for each in everywhere]
        places = [await engine.worker(await placed(engine, each)) for each in with_data]
        assert set(places) <= {"node1", "node2"}
        nowhere = wanted("00000000000000dd", transfers=True)

        async def why() -> str:
            try:
                await engine.create(nowhere)
            except NotPlaced as exc:
                return exc.message if "no suitable node" in exc.message else ""
            return ""

        said = await wait_for(why, "the reason that there is no node")
        assert "without an endpoint in c.NdsApp.endpoints: node3" in said
        # Its administrator adds the endpoint.
        all_known = msgspec.structs.replace(settings, endpoints=tuple(clean_swarm.endpoints))
        other = SwarmEngine(None, all_known)
        try:
            assert await other.worker(await placed(other, nowhere)) == "node3"
        finally:
            await other.close()
    finally:
        await engine.close()
