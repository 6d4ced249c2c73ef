"""Streams that are read in threads: whoever reads can be stopped at any moment."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nds_jupyter.engines.docker.thread_streams import BlockingStream, StreamSlots, read_in_thread


class Lingering(BlockingStream[int]):
    """A source that has ended, and whose connection takes its time to close."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.may_close = threading.Event()

    def __next__(self) -> int:
        raise StopIteration

    def abort(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.closing.set()
            assert self.may_close.wait(20)


async def test_cancelling_who_has_read_to_the_end_is_not_lost() -> None:
    source = Lingering()

    async def read_again_and_again() -> None:
        while True:
            async for _ in read_in_thread(lambda: source, "test", StreamSlots(2)):
                pass

    reading = asyncio.create_task(read_again_and_again())
    assert await asyncio.to_thread(source.closing.wait, 20)
    reading.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(20):
                await reading
    finally:
        source.may_close.set()
