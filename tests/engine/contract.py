"""What the contract of engines is tried on: containers that tests make, and the engines in turn.

A further engine joins by a line in `ENGINES` and one in `UNREACHABLE`.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from nds_jupyter.engines.base import (
    LABEL_JOB,
    LABEL_OWNER,
    Container,
    ContainerSpec,
    ContainerStatus,
    Engine,
    LogRequest,
)
from nds_jupyter.errors import NotPlaced
from nds_jupyter.jobs.job import Limits, Network
from tests.engine import under_test
from tests.engine.fake_images import SHELL
from tests.engine.under_test import Opener

DEADLINE = 60.0
"""Seconds for whatever a test waits for."""


ENGINES: dict[str, Callable[[pytest.FixtureRequest], Opener]] = {
    "fake": lambda request: under_test.fake,
    "docker": lambda request: under_test.docker(request.getfixturevalue("docker_engine_url")),
    "swarm": lambda request: under_test.swarm(request.getfixturevalue("clean_swarm")),
}


UNREACHABLE: dict[str, Opener] = {
    "fake": under_test.fake_down,
    "docker": under_test.docker_down,
    "swarm": under_test.swarm_down,
}


MARKS = {"docker": [pytest.mark.engine], "swarm": [pytest.mark.swarm]}


BUILDERS = [pytest.param(name, marks=MARKS.get(name, [])) for name in ENGINES if name != "swarm"]
"""A Swarm builds no images: its nodes would not have them."""


def specification(
    script: str, *, labels: dict[str, str] | None = None, **changes: object
) -> ContainerSpec:
    name = f"nds-{secrets.token_hex(8)}"
    fields = {
        "name": name,
        "image": SHELL,
        "command": ("sh", "-c", script),
        "env": {},
        "labels": {LABEL_JOB: name.removeprefix("nds-"), LABEL_OWNER: "contract"} | (labels or {}),
        "limits": Limits(cpus=1.0, memory=2**26, pids=64),
        "network": Network.BRIDGE,
        "working_dir": "/",
    }
    return ContainerSpec(**{**fields, **changes})  # type: ignore[arg-type]


def archive_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def created(engine: Engine, spec: ContainerSpec) -> str:
    """Create a container, and go on as long as an engine of many nodes looks for one."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await engine.create(spec)
            except NotPlaced:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def container(engine: Engine, script: str, **changes: Any) -> AsyncIterator[str]:
    container_id = await created(engine, specification(script, **changes))
    try:
        yield container_id
    finally:
        await engine.remove(container_id)


async def read_log(engine: Engine, container_id: str, **wanted: object) -> list[tuple[str, bytes]]:
    request = LogRequest(**wanted)  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE), aclosing(engine.logs(container_id, request)) as chunks:
        return [(chunk.stream.value, chunk.data) async for chunk in chunks]


async def end_of(engine: Engine, container_id: str) -> Container:
    """Wait for the end, by the log, which ends with the container."""
    async with asyncio.timeout(DEADLINE):
        while True:
            await read_log(engine, container_id, follow=True)
            found = await engine.inspect(container_id)
            if found.state is ContainerStatus.EXITED:
                return found
