"""Images of a registry that asks who one is: nodes get them with the account's `docker login`."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from dev.debian import find_program
from dev.engine_api import EngineAnswerError, ask
from dev.swarm import Swarm
from nds_jupyter.jobs.job import Job, JobState, Reason
from tests.engine.registry import Registry
from tests.swarm.conftest import OpenHarness, RunnerHarness, spec

pytestmark = pytest.mark.swarm

LOGIN = "ada:lovelace"
JULIA = b'#!/bin/sh\nexec /bin/sh "$@"\n'
THREE = ("node.hostname==node3",)


def shell_tar() -> bytes:
    """Return a filesystem with a shell, and a program in a folder that few images have."""
    program = find_program("busybox")
    assert program is not None, "the image of a shell needs Debian's busybox-static"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for name in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            tar.addfile(link)
        program_there = tarfile.TarInfo("opt/julia/bin/julia")
        program_there.size, program_there.mode = len(JULIA), 0o755
        tar.addfile(program_there, io.BytesIO(JULIA))
    return buffer.getvalue()


@pytest.fixture
def registry(clean_swarm: Swarm) -> Iterator[Registry]:
    with Registry(shell_tar(), clean_swarm.manager.lan.gateway, LOGIN).serving() as made:
        yield made
        with suppress(EngineAnswerError):
            endpoint = clean_swarm.nodes[2].endpoint
            ask(endpoint, "DELETE", f"/images/{made.image}", query={"force": "1"})


async def run(harness: RunnerHarness, image: str, scriptname: str = "job.sh") -> Job:
    script = "echo here"
    wanted = spec(script, constraints=THREE)
    wanted = msgspec.structs.replace(wanted, image=image, scriptname=scriptname)
    job, _ = await harness.runner.submit("ada", wanted, script.encode())
    return await harness.wait_for_end(job)


async def test_node_fetches_an_image_with_the_credentials_of_docker_login(
    open_harness: OpenHarness,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    auths = {registry.address: {"auth": base64.b64encode(LOGIN.encode()).decode()}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with open_harness() as harness:
        job = await run(harness, registry.image)
        assert (job.state, job.worker) == (JobState.COMPLETED, "node3"), job
        assert await harness.read_log(job) == "here\n"
        await harness.runner.delete(job)


async def test_interpreter_is_looked_for_where_the_fetched_image_has_it(
    open_harness: OpenHarness,
    clean_swarm: Swarm,
) -> None:
    with Registry(shell_tar(), clean_swarm.manager.lan.gateway).serving() as registry:
        async with open_harness() as harness:
            job = await run(harness, registry.image, "job.jl")
            assert job.state is JobState.COMPLETED, job
            assert await harness.read_log(job) == "here\n"
            await harness.runner.delete(job)
        endpoint = clean_swarm.nodes[2].endpoint
        ask(endpoint, "DELETE", f"/images/{registry.image}", query={"force": "1"})


async def test_image_that_nobody_may_fetch_without_a_login_is_the_image_s_fault(
    open_harness: OpenHarness,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with open_harness() as harness:
        job = await run(harness, registry.image)
        assert (job.reason, job.container_id) == (Reason.IMAGE, None), job
        assert registry.image in job.message
