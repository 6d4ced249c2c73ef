"""The engines that the contract is held against: each with its images, and how to take it away."""

from __future__ import annotations

import ctypes
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.swarm import Swarm
from nds_jupyter.engines.base import Engine
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.swarm.engine import SwarmEngine, SwarmSettings
from nds_jupyter.jobs.job import Progress
from tests.engine.fake import FakeEngine
from tests.engine.fake_images import SHELL
from tests.engine.registry import Registry, empty_image

CLONE_NEWNET = 0x4000_0000
"""The kernel's word for a network namespace (``linux/sched.h``)."""


@dataclass(frozen=True)
class EngineUnderTest:
    """An engine for the contract.

    Parameters
    ----------
    engine
        Has the image `SHELL`.
    pullable
        An image that it does not have, and a registry has.
    beside
        Runs what a stranger runs on the same machine.
    """

    engine: Engine
    pullable: str
    beside: Engine


Opener = Callable[[], AbstractAsyncContextManager[EngineUnderTest]]


@asynccontextmanager
async def fake() -> AsyncIterator[EngineUnderTest]:
    """Give a fake engine."""
    engine = FakeEngine()
    steps = tuple(Progress(done=done, total=100, unit="bytes") for done in (0, 50, 100))
    engine.registry["127.0.0.1:5000/slow:latest"] = steps
    yield EngineUnderTest(engine=engine, pullable="127.0.0.1:5000/slow:latest", beside=engine)
    assert engine.open_streams == 0


@asynccontextmanager
async def fake_down() -> AsyncIterator[EngineUnderTest]:
    """Give a fake engine that does not answer."""
    engine = FakeEngine()
    engine.faults.go_down()
    yield EngineUnderTest(engine=engine, pullable=SHELL, beside=engine)


def docker(url: str) -> Opener:
    """Return what gives the Docker Engine at a URL."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[EngineUnderTest]:
        engine = DockerEngine(url, deadline=60)
        with Registry(empty_image()).serving() as registry:
            yield EngineUnderTest(engine=engine, pullable=registry.image, beside=engine)
            _forget_image(url, registry.image)
        await engine.close()

    return opened


def _forget_image(url: str, reference: str) -> None:
    import docker as sdk

    client = sdk.APIClient(base_url=url)
    try:
        client.remove_image(reference, force=True)
    except sdk.errors.ImageNotFound:
        pass
    finally:
        client.close()


@asynccontextmanager
async def docker_down() -> AsyncIterator[EngineUnderTest]:
    """Give a Docker Engine at a socket where nobody listens."""
    engine = DockerEngine("unix:///nonexistent/docker.sock", deadline=5)
    yield EngineUnderTest(engine=engine, pullable=SHELL, beside=engine)
    await engine.close()


def swarm(made: Swarm) -> Opener:
    """Return what gives a Swarm, with a registry beside its manager."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[EngineUnderTest]:
        engine = SwarmEngine(None, SwarmSettings(endpoints=tuple(made.endpoints)), deadline=60)
        beside = DockerEngine(made.manager.endpoint.url, deadline=60)
        with _registry_in(made.manager.lan.namespace(made.manager.number)).serving() as registry:
            yield EngineUnderTest(engine=engine, pullable=registry.image, beside=beside)
        await engine.close()
        await beside.close()

    return opened


def _registry_in(namespace: Path) -> Registry:
    """Return a registry that listens in a network namespace: engines trust 127.0.0.1 alone."""

    def work() -> Registry:
        with namespace.open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return Registry(empty_image())

    # Only this thread enters; the socket that it opens stays there.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@asynccontextmanager
async def swarm_down() -> AsyncIterator[EngineUnderTest]:
    """Give a Swarm at a socket where nobody listens."""
    engine = SwarmEngine(None, SwarmSettings(endpoints=("unix:///nonexistent/docker.sock",)))
    yield EngineUnderTest(engine=engine, pullable=SHELL, beside=engine)
    await engine.close()
