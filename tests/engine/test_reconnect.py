"""The stream of events of a real engine, when its connection is cut."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from nds_jupyter.engines.base import EngineEvent
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.errors import EngineUnavailable
from tests.engine.contract import DEADLINE, container, end_of
from tests.engine.proxy import EngineProxy

pytestmark = pytest.mark.engine


async def test_cut_stream_reconnects_and_loses_nothing(
    proxy: EngineProxy, docker_engine_url: str
) -> None:
    engine, direct = DockerEngine(proxy.url), DockerEngine(docker_engine_url)
    seen: list[EngineEvent] = []
    async with asyncio.timeout(DEADLINE), aclosing(engine.events()) as events:
        assert (await anext(events)).action == "connected"
        for exit_code in (3, 4):
            async with container(direct, f"exit {exit_code}") as container_id:
                proxy.hold_request("^GET .*/events")
                proxy.cut()
                await direct.start(container_id)
                await direct.stop(container_id, 1)
                proxy.release()
                while not any(
                    event.container_id == container_id and event.exit_code == exit_code
                    for event in seen
                ):
                    seen.append(await anext(events))
    assert "connected" in {event.action for event in seen}
    await engine.close()
    await direct.close()


async def test_archive_that_is_cut_is_an_error(proxy: EngineProxy, docker_engine_url: str) -> None:
    engine, direct = DockerEngine(proxy.url), DockerEngine(docker_engine_url)
    script = "dd if=/dev/zero of=/big bs=1M count=64"
    async with container(direct, script) as container_id:
        await direct.start(container_id)
        await end_of(direct, container_id)
        async with aclosing(engine.archive(container_id, "/big")) as parts:
            await anext(parts)
            proxy.cut()
            with pytest.raises(EngineUnavailable, match="broke off"):
                [part async for part in parts]
    await engine.close()
    await direct.close()
