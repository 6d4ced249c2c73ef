"""The engines that the contract is held against: each with its images, and how to take it away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from nds_jupyter.engines.base import Engine
from nds_jupyter.engines.docker import DockerEngine
from nds_jupyter.jobs import Progress
from tests.engine.fake import SHELL, FakeEngine
from tests.engine.registry import Registry, empty_image


@dataclass(frozen=True)
class EngineUnderTest:
    """An engine for the contract.

    Parameters
    ----------
    engine
        Has the image `SHELL`.
    pullable
        An image that it does not have, and a registry has.
    """

    engine: Engine
    pullable: str


Opener = Callable[[], AbstractAsyncContextManager[EngineUnderTest]]


@asynccontextmanager
async def fake() -> AsyncIterator[EngineUnderTest]:
    """Give a fake engine."""
    engine = FakeEngine()
    steps = tuple(Progress(done=done, total=100, unit="bytes") for done in (0, 50, 100))
    engine.registry["127.0.0.1:5000/slow:latest"] = steps
    yield EngineUnderTest(engine=engine, pullable="127.0.0.1:5000/slow:latest")
    assert engine.open_streams == 0


@asynccontextmanager
async def fake_down() -> AsyncIterator[EngineUnderTest]:
    """Give a fake engine that does not answer."""
    engine = FakeEngine()
    engine.faults.go_down()
    yield EngineUnderTest(engine=engine, pullable=SHELL)


def docker(url: str) -> Opener:
    """Return what gives the Docker Engine at a URL."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[EngineUnderTest]:
        engine = DockerEngine(url, deadline=60)
        with Registry(empty_image()).serving() as registry:
            yield EngineUnderTest(engine=engine, pullable=registry.image)
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
    yield EngineUnderTest(engine=engine, pullable=SHELL)
    await engine.close()
