"""Jobs on a Swarm: where they run, how they end, and what waiting ones say."""

from __future__ import annotations

import asyncio

import pytest

from dev.swarm import Swarm
from nds_jupyter.engines.base import LABEL_JOB, ContainerStatus
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.engines.swarm.script_start import MAX_STDIN_BYTES
from nds_jupyter.engines.swarm.service_specs import STDIN_DONE_PATH
from nds_jupyter.errors import ContainerNotFound
from nds_jupyter.jobs.job import JobState, Network, Phase, Reason
from tests.swarm.conftest import OpenHarness, wait_for

pytestmark = pytest.mark.swarm


async def test_jobs_spread_over_the_nodes_and_tell_where_they_ran(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        jobs = [await harness.submit("hostname >/results/x; echo ran") for _ in range(9)]
        ended = await asyncio.gather(*map(harness.wait_for_end, jobs))
        assert {job.state for job in ended} == {JobState.COMPLETED}
        assert {job.worker for job in ended} == {"node1", "node2", "node3"}
        assert {await harness.read_log(job) for job in ended} == {"ran\n"}
        rows = await harness.engine.containers({LABEL_JOB: ""}, include_ended=True)
        assert {(row.name, row.worker) for row in rows} == {
            (f"nds-{job.job_id}", job.worker) for job in ended
        }


async def test_exit_code_and_out_of_memory_are_reported_from_any_node(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        there = ("node.hostname==node3",)
        failing = await harness.submit("exit 7", constraints=there)
        hungry = await harness.submit("tail /dev/zero", memory=8 << 20, constraints=there)
        failed, starved = await asyncio.gather(
            harness.wait_for_end(failing), harness.wait_for_end(hungry)
        )
        assert (failed.exit_code, failed.reason, failed.worker) == (7, Reason.EXIT, "node3")
        assert (starved.reason, starved.worker) == (Reason.OOM, "node3")


async def test_missing_program_is_distinguished_from_a_script_that_ends_alike(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        jobs = [
            await harness.submit("exit 0", command=("nosuchprogram", "-x")),
            await harness.submit("#!/bin/nosuchshell\nexit 0"),
            await harness.submit("nosuchprogram"),
        ]
        named, first, ran = await asyncio.gather(*map(harness.wait_for_end, jobs))
        assert (named.reason, named.exit_code) == (Reason.IMAGE, 127), named
        assert "nds/shell:test has no program nosuchprogram. Choose" in named.message
        assert (first.reason, first.exit_code) == (Reason.IMAGE, 127), first
        assert "the first line of job.sh, #!/bin/nosuchshell. Choose" in first.message
        assert (ran.reason, ran.exit_code) == (Reason.EXIT, 127), ran


async def test_short_script_is_handed_over_and_a_long_one_is_put_there(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        # The script finds no input, though its starter had one.
        script = (
            "cat; printf '%s\\n' \"it's\"; ls -ld /nds/in /results /nds/job.sh | cut -c1-10; exit 4"
        )
        jobs = [
            await harness.submit(text) for text in (script, f"{script}\n{'#' * MAX_STDIN_BYTES}")
        ]
        for number, job in enumerate(await asyncio.gather(*map(harness.wait_for_end, jobs))):
            assert (job.reason, job.exit_code) == (Reason.EXIT, 4), job
            assert (await harness.read_log(job)).splitlines() == [
                *("it's", "drwxr-xr-x", "-rwxr-xr-x", "drwxrwxrwt")
            ]
            handed = await harness.engine.path_exists(job.container_id or "", STDIN_DONE_PATH)
            assert handed is (number == 0)


async def test_job_that_no_node_can_take_says_why_and_can_be_stopped(
    open_harness: OpenHarness,
) -> None:
    async with open_harness() as harness:
        job = await harness.submit("exit 0", memory=10**15)
        waiting = await harness.until(job, lambda job: "no suitable node" in job.message)
        assert waiting.phase is Phase.STAGING
        assert "insufficient resources on 3 nodes" in waiting.message
        assert "memory 909.5 TiB" in waiting.message
        rows = await harness.engine.containers({LABEL_JOB: ""}, include_ended=True)
        assert [(row.name, row.state) for row in rows] == [
            (f"nds-{job.job_id}", ContainerStatus.CREATED)
        ]
        stopped = await harness.runner.stop(waiting)
        assert stopped.reason is Reason.STOPPED
        assert await harness.engine.containers({LABEL_JOB: ""}, include_ended=True) == ()


async def test_job_runs_as_soon_as_the_gpu_is_free(open_harness: OpenHarness) -> None:
    async with open_harness() as harness:
        first = await harness.wait_for_start(await harness.submit("sleep 600", gpus=1))
        assert first.worker == "node3"
        second = await harness.submit("echo $DOCKER_RESOURCE_GPU", gpus=1)
        await harness.until(second, lambda job: "gpus 1" in job.message)
        await harness.runner.stop(first, 0)
        await harness.runner.delete(await harness.runner.find_job(first.job_id))
        ended = await harness.wait_for_end(second)
        assert (ended.state, ended.message) == (JobState.COMPLETED, "")
        assert await harness.read_log(ended) == "first\n"


async def test_job_without_network_reaches_nobody(open_harness: OpenHarness) -> None:
    async with open_harness() as harness:
        script = "ip route | grep -c default; exit 0"
        ended = await harness.wait_for_end(await harness.submit(script, network=Network.NONE))
        assert (ended.state, await harness.read_log(ended)) == (JobState.COMPLETED, "0\n")
        await harness.runner.delete(ended)

        async def network_is_gone() -> bool:
            call = harness.engine._nodes.endpoints[0]._call
            found = await call("", lambda client: client.networks(names=[f"nds-{ended.job_id}"]))
            return not found

        await wait_for(network_is_gone, "the removal of the job's network")


async def test_image_that_is_nowhere_is_the_image_s_fault(open_harness: OpenHarness) -> None:
    import msgspec

    from tests.swarm.conftest import spec

    async with open_harness() as harness:
        missing = msgspec.structs.replace(spec("exit 0"), image="nds/nowhere:1")
        job, _ = await harness.runner.submit("ada", missing, b"exit 0")
        ended = await harness.wait_for_end(job)
        assert ended.reason is Reason.IMAGE, ended
        assert "nds/nowhere:1" in ended.message


async def test_stopped_script_gets_its_grace(open_harness: OpenHarness) -> None:
    async with open_harness() as harness:
        script = "trap 'echo bye; exit 0' TERM; echo on; while :; do sleep 0.1; done"
        job = await harness.wait_for_start(
            await harness.submit(script, constraints=("node.hostname==node2",))
        )

        async def is_on() -> bool:
            return "on" in await harness.read_log(job)

        await wait_for(is_on, "the script's first word")
        ended = await harness.runner.stop(job, 20)
        assert ended.reason is Reason.STOPPED
        assert await harness.read_log(ended) == "on\nbye\n"


async def test_removed_job_leaves_no_service(open_harness: OpenHarness, clean_swarm: Swarm) -> None:
    async with open_harness() as harness:
        ended = await harness.wait_for_end(await harness.submit("exit 0"))
        await harness.runner.delete(ended)
        assert await harness.engine._nodes.endpoints[0].services([LABEL_JOB]) == ()
        with pytest.raises(ContainerNotFound):
            await harness.engine.inspect(ended.container_id or "")


async def test_endpoints_may_be_contexts_and_tcp_with_tls(
    clean_swarm: Swarm, settings: SwarmSettings
) -> None:
    import msgspec

    tls = [node.tls_endpoint for node in clean_swarm.nodes]
    secured = msgspec.structs.replace(
        settings,
        endpoints=tuple(endpoint.url for endpoint in tls),
        certificates=tls[0].certificates or "",
    )
    engine = SwarmEngine(None, secured)
    try:
        reports = await engine.nodes()
        assert [(report.name, report.reachable) for report in reports] == [
            ("node1", True),
            ("node2", True),
            ("node3", True),
        ]
    finally:
        await engine.close()
