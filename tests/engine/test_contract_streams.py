"""What every engine keeps to: logs, samples and events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import msgspec

from nds_jupyter.engines.base import (
    LABEL_JOB,
    Engine,
    EngineEvent,
    LogRequest,
    LogStream,
)
from tests.engine.contract import DEADLINE, container, created, end_of, read_log, specification
from tests.engine.under_test import EngineUnderTest


async def test_log_keeps_its_streams_apart(engine: Engine) -> None:
    async with container(engine, "echo out; echo err >&2") as container_id:
        await engine.start(container_id)
        await end_of(engine, container_id)
        both = await read_log(engine, container_id)
        assert sorted(both) == [("stderr", b"err\n"), ("stdout", b"out\n")]
        only = await read_log(engine, container_id, stream=LogStream.STDERR)
        assert only == [("stderr", b"err\n")]


async def test_log_is_cut_by_lines_and_by_time(engine: Engine) -> None:
    async with container(engine, "echo 1; echo 2; echo 3") as container_id:
        await engine.start(container_id)
        ended = await end_of(engine, container_id)
        tail = await read_log(engine, container_id, tail=2)
        assert b"".join(data for _, data in tail) == b"2\n3\n"
        assert await read_log(engine, container_id, tail=0) == []
        assert ended.finished is not None
        later = ended.finished + timedelta(seconds=1)
        assert await read_log(engine, container_id, since=later) == []
        stamped = await read_log(engine, container_id, tail=1, timestamps=True)
        time, _, text = b"".join(data for _, data in stamped).partition(b" ")
        assert text == b"3\n"
        assert time.startswith(b"20")
        assert time.endswith(b"Z")


async def test_followed_log_is_live_and_ends_with_the_container(engine: Engine) -> None:
    async with container(engine, "echo first; sleep 600") as container_id:
        await engine.start(container_id)
        request = LogRequest(follow=True)
        async with asyncio.timeout(DEADLINE), aclosing(engine.logs(container_id, request)) as log:
            assert (await anext(log)).data == b"first\n"
            await engine.stop(container_id, 0)
            assert [chunk async for chunk in log] == []


async def test_samples_come_while_it_runs_and_end_with_it(engine: Engine) -> None:
    async with container(engine, "sleep 600") as container_id:
        await engine.start(container_id)
        async with asyncio.timeout(DEADLINE), aclosing(engine.stats(container_id)) as samples:
            sample = await anext(samples)
            assert sample.memory_limit == 2**26
            assert sample.pids >= 1
            await engine.stop(container_id, 0)
            async for _ in samples:
                pass


async def test_events_tell_of_jobs_from_the_moment_of_connection(given: EngineUnderTest) -> None:
    engine = given.engine
    async with asyncio.timeout(DEADLINE), aclosing(engine.events()) as events:
        assert (await anext(events)).action == "connected"
        spec = specification("exit 4")
        stranger = msgspec.structs.replace(specification("true"), labels={})
        unlabelled = await given.beside.create(stranger)
        try:
            await given.beside.start(unlabelled)
            container_id = await created(engine, spec)
            await engine.start(container_id)
            seen: list[EngineEvent] = []
            while not seen or seen[-1].action != "destroy":
                event = await anext(events)
                assert event.container_id != unlabelled
                if event.container_id == container_id:
                    seen.append(event)
                if event.action == "die" and event.container_id == container_id:
                    await engine.remove(container_id)
        finally:
            await given.beside.remove(unlabelled)
        assert [event.action for event in seen] == ["start", "die", "destroy"]
        assert {event.job_id for event in seen} == {spec.labels[LABEL_JOB]}
        assert seen[1].exit_code == 4
