"""Followed logs that a real engine leaves open, or closes, before all of them has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from nds_jupyter.engines.base import LogRequest, LogStream
from nds_jupyter.engines.docker import streams
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.docker.http_body import BodyReader
from nds_jupyter.logs.resume import read_whole_log
from tests.engine.contract import DEADLINE, container
from tests.engine.proxy import EngineProxy

pytestmark = pytest.mark.engine

NUMBERS = 30_000
FOLLOWED = "^GET .*/logs.*follow=1"


@asynccontextmanager
async def engine_at(url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(url)
    try:
        yield engine
    finally:
        await engine.close()


async def read(engine: DockerEngine, container_id: str, request: LogRequest) -> list[bytes]:
    found = {LogStream.STDOUT: b"", LogStream.STDERR: b""}
    async with (
        asyncio.timeout(DEADLINE),
        aclosing(read_whole_log(engine, container_id, request)) as log,
    ):
        async for chunk in log:
            found[chunk.stream] += chunk.data
    return list(found.values())


@pytest.mark.parametrize("came", [500, 100_000])
@pytest.mark.parametrize(
    "request_",
    [
        LogRequest(follow=True),
        LogRequest(follow=True, timestamps=True),
        LogRequest(follow=True, tail=0),
    ],
    ids=["text", "times", "new"],
)
async def test_log_that_goes_silent_is_completed(
    proxy: EngineProxy,
    docker_engine_url: str,
    monkeypatch: pytest.MonkeyPatch,
    request_: LogRequest,
    came: int,
) -> None:
    monkeypatch.setattr(BodyReader, "IDLE_SECONDS", 0.3)
    script = f"sleep 0.5; seq {NUMBERS}; echo bad >&2; printf y%.0s $(seq 40000); printf worse >&2"
    async with (
        engine_at(proxy.url) as engine,
        engine_at(docker_engine_url) as direct,
        container(direct, script) as container_id,
    ):
        proxy.hold_answer(FOLLOWED, came)
        await direct.start(container_id)
        seen = await read(engine, container_id, request_)
        assert proxy.held.is_set()
        all_of_it = LogRequest(timestamps=request_.timestamps)
        assert seen == await read(direct, container_id, all_of_it)
        assert seen[0].count(b"\n") == NUMBERS


async def test_engine_that_is_busy_for_a_moment_does_not_end_a_log(
    proxy: EngineProxy, docker_engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BodyReader, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(streams, "CHECK_TIMEOUT", 0.5)
    async with (
        engine_at(proxy.url) as engine,
        engine_at(docker_engine_url) as direct,
        container(direct, "sleep 3; echo late") as container_id,
    ):
        await direct.start(container_id)
        proxy.hold_request(r"^GET .*/containers/\w+/json")
        reading = asyncio.create_task(read(engine, container_id, LogRequest(follow=True)))
        assert await asyncio.to_thread(proxy.held.wait, DEADLINE)
        proxy.release()
        assert await reading == [b"late\n", b""]
