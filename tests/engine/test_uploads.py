"""Pieces that an event loop makes, and a thread sends."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from nds_jupyter.engines.docker.thread_streams import SLICE, UPLOAD_AHEAD, send_in_thread
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("jp_asyncio_loop")


async def given(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_everything_is_sent_in_order_and_in_slices() -> None:
    pieces = [os.urandom(size) for size in (1, SLICE, 0, 3 * SLICE + 7, 5)]
    sent: list[bytes] = []
    await send_in_thread(given(*pieces), lambda slices: sent.extend(map(bytes, slices)))
    assert b"".join(sent) == b"".join(pieces)
    assert max(map(len, sent)) == SLICE


async def test_no_more_is_made_than_the_other_side_takes() -> None:
    made: list[int] = []
    taking, sent = threading.Event(), bytearray()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(20):
            made.append(number)
            yield bytes([number])

    def send(slices: Iterator[memoryview]) -> None:
        sent.extend(next(slices))
        assert taking.wait(60)
        for each in slices:
            sent.extend(each)

    sending = asyncio.create_task(send_in_thread(pieces(), send))
    # One is being sent, `UPLOAD_AHEAD` wait for it, and one waits for room.
    await until(lambda: len(made) == UPLOAD_AHEAD + 2, f"{UPLOAD_AHEAD + 2} pieces are made")
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
