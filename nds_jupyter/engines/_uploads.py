"""From an async iterator to a blocking upload in a thread of its own, with back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterable, Callable, Iterator

AHEAD = 1
"""Pieces made ahead of the engine that takes them; they may have several MiB."""

SLICE = 2**20
"""Bytes sent at once: they are framed by a copy, which shall stay in the processor's cache."""

GIVE_UP = 5.0
"""Seconds that an abandoned upload gets to end; then its socket's own time limit ends it."""


class _Abandoned(Exception):
    """Raised in the thread, so that the request breaks off instead of looking complete."""


class _Feed(Iterator[bytes]):
    """What the thread reads and the event loop fills."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: queue.SimpleQueue[bytes | _Abandoned | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(AHEAD)

    def __next__(self) -> bytes:
        piece = self._pieces.get()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.release)
        if piece is None:
            raise StopIteration
        if isinstance(piece, _Abandoned):
            raise piece
        return piece

    async def give(self, piece: bytes) -> None:
        await self._room.acquire()
        self._pieces.put(piece)

    def end(self) -> None:
        self._pieces.put(None)

    def abandon(self) -> None:
        self._pieces.put(_Abandoned())


def _slices(pieces: Iterator[bytes]) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), SLICE):
            yield view[start : start + SLICE]


def _in_thread(send: Callable[[Iterator[memoryview]], None], feed: _Feed) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            send(_slices(feed))
        except BaseException as exc:  # noqa: BLE001 - handed to who waits, whatever it is
            error = exc
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=work, name="nds-upload", daemon=True).start()
    return ended


async def send_in_thread(
    pieces: AsyncIterable[bytes], send: Callable[[Iterator[memoryview]], None]
) -> None:
    """Send pieces as they come.

    Parameters
    ----------
    send
        Called in the thread with an iterator of their bytes; blocks until the other side
        has answered.

    Raises
    ------
    Exception
        What making the pieces raised, else what `send` raised.
    """
    feed = _Feed()
    ended = _in_thread(send, feed)
    try:
        async for piece in pieces:
            giving = asyncio.ensure_future(feed.give(piece))
            await asyncio.wait({giving, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                giving.cancel()
                break
        feed.end()
        await asyncio.shield(ended)
    except BaseException:
        feed.abandon()
        await asyncio.wait({ended}, timeout=GIVE_UP)
        if ended.done() and not ended.cancelled():
            ended.exception()
        raise
