"""Streams in threads: reads that can be stopped at any moment, and uploads of what a loop makes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from nds_jupyter.engines.docker.thread_streams import (
    SLICE,
    UPLOAD_AHEAD,
    BlockingStream,
    StreamSlots,
    read_in_thread,
    send_in_thread,
)
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("jp_asyncio_loop")


class SlowToClose(BlockingStream[int]):
    """A stream that has ended, and whose connection takes its time to close."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.may_close = threading.Event()

    def __next__(self) -> int:
        raise StopIteration

    def abort(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.closing.set()
            assert self.may_close.wait(20)


async def test_cancellation_after_the_end_is_not_lost() -> None:
    stream = SlowToClose()

    async def read_again_and_again() -> None:
        while True:
            async for _ in read_in_thread(lambda: stream, "test", StreamSlots(2)):
                pass

    reading = asyncio.create_task(read_again_and_again())
    assert await asyncio.to_thread(stream.closing.wait, 20)
    reading.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(20):
                await reading
    finally:
        stream.may_close.set()


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_everything_is_sent_in_order_and_in_slices() -> None:
    chunks = [os.urandom(size) for size in (1, SLICE, 0, 3 * SLICE + 7, 5)]
    sent: list[bytes] = []
    await send_in_thread(chunks_of(*chunks), lambda slices: sent.extend(map(bytes, slices)))
    assert b"".join(sent) == b"".join(chunks)
    assert max(map(len, sent)) == SLICE


async def test_no_more_is_made_than_the_other_side_takes() -> None:
    made: list[int] = []
    taking, sent = threading.Event(), bytearray()

    async def numbers() -> AsyncIterator[bytes]:
        for number in range(20):
            made.append(number)
            yield bytes([number])

    def send(slices: Iterator[memoryview]) -> None:
        sent.extend(next(slices))
        assert taking.wait(60)
        for each in slices:
            sent.extend(each)

    sending = asyncio.create_task(send_in_thread(numbers(), send))
    # One is being sent, `UPLOAD_AHEAD` wait for it, and one waits for room.
    await until(lambda: len(made) == UPLOAD_AHEAD + 2, f"{UPLOAD_AHEAD + 2} chunks are made")
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(made) == UPLOAD_AHEAD + 2
    taking.set()
    await sending
    assert sent == bytes(range(20))


async def test_error_of_the_source_breaks_the_upload_off_in_the_thread() -> None:
    ended: list[BaseException] = []

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise EOFError("the source ended")

    def send(slices: Iterator[memoryview]) -> None:
        try:
            for _ in slices:
                pass
        except BaseException as exc:
            ended.append(exc)
            raise

    with pytest.raises(EOFError, match="the source ended"):
        await send_in_thread(broken(), send)
    # An end without an error would make half an archive look like a whole one.
    assert len(ended) == 1


async def test_error_of_the_other_side_ends_the_source() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            closed.append(True)

    def refuse(slices: Iterator[memoryview]) -> None:
        next(slices)
        raise ConnectionResetError("the engine went away")

    source = endless()
    with pytest.raises(ConnectionResetError, match="went away"):
        await send_in_thread(source, refuse)
    await source.aclose()  # type: ignore[attr-defined]
    assert closed == [True]
