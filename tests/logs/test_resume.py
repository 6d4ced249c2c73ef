"""What a followed log lacks where an engine closes it early, found by reading it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.engines.base import Engine, LogChunk, LogRequest, LogStream
from nds_jupyter.logs import resume
from nds_jupyter.logs.lines import MESSAGE_SIZE
from nds_jupyter.logs.resume import LAST_MESSAGES, read_whole_log

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Message(msgspec.Struct, frozen=True):
    """What an engine keeps of a log, at a time in milliseconds."""

    stream: LogStream
    at: int
    text: bytes

    @property
    def time(self) -> datetime:
        return BEGIN + timedelta(milliseconds=self.at)

    def shown(self, request: LogRequest) -> bytes:
        time = f"{self.time:%Y-%m-%dT%H:%M:%S.%f}000Z ".encode() if request.timestamps else b""
        return time + self.text


class EarlyEngine:
    """An engine that ends a followed log after some messages of it.

    Parameters
    ----------
    gives
        Messages of those wanted that come of a followed log.
    """

    def __init__(self, log: list[Message], gives: int) -> None:
        self._log = log
        self._gives = gives
        self.requests: list[LogRequest] = []

    async def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        del container_id
        self.requests.append(request)
        wanted = [each for each in self._log if not request.since or each.time >= request.since]
        if request.tail is not None:
            # The engine counts before it chooses a stream.
            wanted = wanted[max(0, len(wanted) - request.tail) :]
        wanted = [each for each in wanted if request.stream in {LogStream.BOTH, each.stream}]
        if request.follow:
            wanted = wanted[: self._gives]
        for stream, run in groupby(wanted, key=lambda each: each.stream):
            yield LogChunk(stream=stream, data=b"".join(each.shown(request) for each in run))


def read(log: list[Message], gives: int, request: LogRequest) -> dict[LogStream, bytes]:
    """Read a log from an engine that ends it early, each stream by itself."""
    engine = cast("Engine", EarlyEngine(log, gives))

    async def collect() -> dict[LogStream, bytes]:
        found = {OUT: b"", ERR: b""}
        async for chunk in read_whole_log(engine, "c", request):
            found[chunk.stream] += chunk.data
        return found

    return asyncio.run(collect())


def whole(log: list[Message], request: LogRequest) -> dict[LogStream, bytes]:
    return read(log, len(log), msgspec.structs.replace(request, follow=False))


@st.composite
def logs(draw: st.DrawFn) -> list[Message]:
    """Lines of both streams, often the same ones; some long, the last of each maybe open."""
    log: list[Message] = []
    at = 0
    lines = draw(st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.integers(0, 3)), max_size=9))
    for stream, pieces in lines:
        at += draw(st.sampled_from([1, 20, 5000]))
        log += [Message(stream, at, b"x" * MESSAGE_SIZE)] * pieces + [
            Message(stream, at, b"tick\n")
        ]
    for stream in draw(st.sets(st.sampled_from([OUT, ERR]))):
        at += 1
        log += [Message(stream, at, b"x" * MESSAGE_SIZE)] * draw(st.integers(0, 6))
        log.append(Message(stream, at, b"open"))
    return log


@given(
    logs(),
    st.integers(0, 40),
    st.booleans(),
    st.sampled_from([None, BEGIN + timedelta(seconds=5)]),
    st.sampled_from(LogStream),
)
def test_all_comes_once(
    log: list[Message], gives: int, timestamps: bool, since: datetime | None, stream: LogStream
) -> None:
    request = LogRequest(follow=True, timestamps=timestamps, since=since, stream=stream)
    assert read(log, gives, request) == whole(log, request)


@pytest.mark.parametrize("timestamps", [True, False])
def test_long_log_of_like_lines_is_completed(timestamps: bool) -> None:
    log = [Message(OUT, number, b"number\n") for number in range(2000)]
    request = LogRequest(follow=True, timestamps=timestamps)
    for gives in (1, 999, 1500, 2000):
        assert read(log, gives, request) == whole(log, request)


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("stream", [LogStream.BOTH, ERR])
@pytest.mark.parametrize("tail", [0, 1, 3, 100])
def test_who_asks_for_the_end_gets_all_from_there(
    tail: int, stream: LogStream, timestamps: bool
) -> None:
    log = [Message((OUT, ERR)[number % 3 == 0], number, b"old\n") for number in range(8)]
    request = LogRequest(follow=True, timestamps=timestamps, tail=tail, stream=stream)
    old = whole(log, request)
    for gives in range(1, 4):
        found = read(log, gives, request)
        assert found == old


def test_what_was_read_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SHORT_LOG", 100)
    log = [Message(OUT, number, f"{number}\n".encode()) for number in range(1000)]
    for timestamps in (True, False):
        engine = EarlyEngine(log, len(log))

        async def follow(engine: EarlyEngine = engine, timestamps: bool = timestamps) -> None:
            request = LogRequest(follow=True, timestamps=timestamps)
            async for _ in read_whole_log(cast("Engine", engine), "c", request):
                pass

        asyncio.run(follow())
        assert [each.tail for each in engine.requests] == [None, LAST_MESSAGES]
