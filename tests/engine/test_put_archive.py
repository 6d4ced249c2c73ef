"""Archives into containers of a real Docker Engine, when something is wrong with either."""

from __future__ import annotations

import os
import tarfile
from typing import Any

import docker
import pytest

from nds_jupyter.engines.base import ContainerSpec
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.errors import EngineError
from nds_jupyter.jobs.job import Limits, Network

pytestmark = pytest.mark.engine


async def test_full_disk_in_a_container_is_reported(docker_engine_url: str) -> None:
    client = docker.APIClient(base_url=docker_engine_url)
    volume = client.create_volume(driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})[
        "Name"
    ]
    config = client.create_host_config(binds={volume: {"bind": "/data", "mode": "rw"}})
    container = client.create_container(
        "nds/shell:test", "true", host_config=config, volumes=["/data"], labels={"nds.job": "0"}
    )["Id"]
    engine = DockerEngine(docker_engine_url)

    async def archive() -> Any:
        info = tarfile.TarInfo("data/big")
        info.size = 64 * 2**20
        yield info.tobuf()
        for _ in range(64):
            yield bytes(2**20)
        yield bytes(1024)

    try:
        with pytest.raises(EngineError, match="disk is full"):
            await engine.put_archive(container, "/", archive())
    finally:
        await engine.close()
        client.remove_container(container, force=True)
        client.remove_volume(volume)
        client.close()


async def test_error_of_the_source_breaks_the_upload_off(docker_engine_url: str) -> None:
    engine = DockerEngine(docker_engine_url)
    spec = ContainerSpec(
        name=f"nds-test-{os.urandom(4).hex()}",
        image="nds/shell:test",
        command=("true",),
        env={},
        labels={"nds.job": "0"},
        limits=Limits(cpus=1, memory=2**26, pids=64),
        network=Network.NONE,
    )
    container = await engine.create(spec)

    async def broken() -> Any:
        yield bytes(2**20)
        raise EOFError("the source ended")

    try:
        with pytest.raises(EOFError):
            await engine.put_archive(container, "/", broken())
        assert not await engine.path_exists(container, "/data/x")
    finally:
        await engine.remove(container)
        await engine.close()
