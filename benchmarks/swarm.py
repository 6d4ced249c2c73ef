"""Jobs on a Swarm against bare services, on three nodes made for it: `python -m benchmarks.swarm`.

All nodes share this machine, so only the ratios mean something.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import swarm_lists
from dev.swarm import Swarm, swarm
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.jobs.job import Job, JobSpec, Limits
from nds_jupyter.jobs.script import inspect_script
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.runner import JobRunner, RunnerSettings

SCRIPT = b"exit 0\n"
LIMITS = Limits(cpus=0.1, memory=32 << 20, pids=100)
AT_ONCE = 8
MANY, FEW, ROUNDS = 45, 8, 5

OFTEN, SELDOM = 0.02, 0.1
"""Seconds between two looks at bare services: each costs the manager time, too."""


def bare_service(name: str) -> dict[str, object]:
    """Return the body of a service that does what the job does."""
    limits = {"NanoCPUs": 10**8, "MemoryBytes": LIMITS.memory}
    return {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {"Image": "nds/shell:test", "Command": ["sh", "-c", "exit 0"]},
            "Resources": {"Limits": limits, "Reservations": limits},
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }


async def seen(
    manager: NodeEngine, names: list[str], states: set[str], every: float = OFTEN
) -> float:
    """Wait until every service's task is in one of the states, and return the time."""
    while True:
        tasks = await manager.tasks({"service": names})
        if len([task for task in tasks if task.state in states]) == len(names):
            return time.monotonic()
        await asyncio.sleep(every)


async def quiet(nodes: list[NodeEngine]) -> None:
    """Remove every container, so that who comes next finds the nodes as who came before did.

    Nodes keep the containers of bare services that had ended; those of jobs are gone with them.
    """
    for node in nodes:
        while left := await node.containers({}, include_ended=True):
            await asyncio.gather(*(node.remove(each.id) for each in left))


async def bare_throughput(manager: NodeEngine) -> float:
    """Return services a second, from the first request to the last end."""
    names = [f"bare-{number}" for number in range(MANY)]
    gate = asyncio.Semaphore(AT_ONCE)

    async def make(name: str) -> None:
        async with gate:
            await manager.create_service(bare_service(name))

    began = time.monotonic()
    await asyncio.gather(*map(make, names))
    ended = await seen(manager, names, {"complete", "failed"}, SELDOM)
    for name in names:
        await manager.remove_service(name)
    return MANY / (ended - began)


async def bare_start(manager: NodeEngine) -> float:
    """Return the seconds from a service's request to its task running or past it."""
    took = []
    for number in range(FEW):
        name = f"one-{number}"
        began = time.monotonic()
        await manager.create_service(bare_service(name))
        took.append(await seen(manager, [name], {"running", "complete", "failed"}) - began)
        await manager.remove_service(name)
    return statistics.median(took)


def job_spec() -> JobSpec:
    """Return the job."""
    digest, shebang = inspect_script(SCRIPT)
    return JobSpec(
        scriptname="job.sh",
        script_sha256=digest,
        script_shebang=shebang,
        image="nds/shell:test",
        limits=LIMITS,
    )


async def submitted(runner: JobRunner) -> Job:
    """Submit the job."""
    return (await runner.submit("ada", job_spec(), SCRIPT))[0]


async def our_throughput(runner: JobRunner) -> float:
    """Return jobs a second, from the first submission to the last recorded end."""
    began = time.monotonic()
    jobs = [await submitted(runner) for _ in range(MANY)]
    ends = [runner.wait_until(job.job_id, lambda job: job.is_finished) for job in jobs]
    await asyncio.gather(*ends)
    took = time.monotonic() - began
    for job in jobs:
        await runner.delete(await runner.find_job(job.job_id))
    return MANY / took


async def our_start(runner: JobRunner) -> float:
    """Return the seconds from a submission to the script's start."""
    took = []
    for _ in range(FEW):
        began = time.monotonic()
        job = await submitted(runner)
        await runner.wait_until(job.job_id, lambda job: job.started is not None)
        took.append(time.monotonic() - began)
        ended = await runner.wait_until(job.job_id, lambda job: job.is_finished)
        await runner.delete(ended)
    return statistics.median(took)


async def measure(made: Swarm) -> dict[str, float]:
    """Return what was measured; every comparison in turns, the median of the pairs' ratios."""
    engine = SwarmEngine(None, SwarmSettings(endpoints=tuple(made.endpoints)))
    nodes = [NodeEngine(url) for url in made.endpoints]
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalThread(Journal.open(Path(folder)))
        runner = JobRunner(journal, engine, RunnerSettings(), logging.getLogger("nds"))
        await runner.start()
        bare, ours, bare_starts, our_starts = [], [], [], []
        for _ in range(ROUNDS):
            bare.append(await bare_throughput(nodes[0]))
            await quiet(nodes)
            ours.append(await our_throughput(runner))
            await quiet(nodes)
            bare_starts.append(await bare_start(nodes[0]))
            await quiet(nodes)
            our_starts.append(await our_start(runner))
            await quiet(nodes)
        await runner.close()
        journal.close()
    await engine.close()
    for each in nodes:
        await each.close()
    return {
        "jobs_per_second": statistics.median(ours),
        "services_per_second": statistics.median(bare),
        "jobs_ratio": median_ratio(ours, bare),
        "start_seconds": statistics.median(our_starts),
        "bare_start_seconds": statistics.median(bare_starts),
        "start_ratio": median_ratio(our_starts, bare_starts),
    }


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios of what was measured in the same turn."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def main() -> int:
    """Measure, and print the figures with their goals."""
    with swarm() as made:
        figures = asyncio.run(measure(made)) | swarm_lists.measure(made)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))
    print("goals: jobs_ratio at least 0.9, start_ratio at most 1.2, list ratios at most 1.3")
    return 0


if __name__ == "__main__":
    sys.exit(main())
