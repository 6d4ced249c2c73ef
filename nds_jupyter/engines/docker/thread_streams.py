"""Bridges between blocking streams in threads and the event loop, with back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from typing import TypeVar

from nds_jupyter.errors import TooBusy

T = TypeVar("T")

AHEAD = 2
"""Items read ahead of who reads them."""

RETRY_AFTER = 5
"""Seconds after which a place for a stream may be free."""


class BlockingStream(Iterator[T]):
    """A blocking iterator that another thread can end."""

    def abort(self) -> None:
        """Make a read that blocks return; called from another thread, any number of times."""
        raise NotImplementedError


class StreamSlots:
    """Counts streams, so that followers can never take every thread of the process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    def take(self) -> None:
        """Take a place; `TooBusy` if there is none."""
        if self._open >= self._most:
            raise TooBusy(
                f"All {self._most} streams of the engine are in use. Try again in a moment.",
                retry_after=RETRY_AFTER,
            )
        self._open += 1

    def give_back(self) -> None:
        """Give a place back."""
        self._open -= 1


class _StreamReader(threading.Thread):
    """Reads a source in a thread and hands its items to the event loop."""

    def __init__(
        self, open_source: Callable[[], BlockingStream[T]], name: str, places: StreamSlots
    ) -> None:
        super().__init__(name=f"nds-{name}", daemon=True)
        self._places = places
        self._open_source = open_source
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(AHEAD)
        self._stopped = threading.Event()
        self._source: BlockingStream[T] | None = None
        self.queue: asyncio.Queue[object] = asyncio.Queue()
        self.ended = asyncio.Event()

    def run(self) -> None:
        """Read until the end, an error or a stop; then say so."""
        try:
            self._source = source = self._open_source()
            if self._stopped.is_set():
                # Who stops it while it connects has found nothing to abort.
                source.abort()
            for item in source:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                self._tell(item)
            self._tell(_END)
        except Exception as exc:  # noqa: BLE001 - handed to who reads, whatever it is
            self._tell(exc)
        finally:
            if self._source is not None:
                self._source.abort()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        # Not before: a thread that an engine keeps waiting still counts.
        self._places.give_back()
        self.ended.set()

    def _tell(self, item: object) -> None:
        # The loop is closed when the server ends while a stream is open.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.queue.put_nowait, item)

    def taken(self) -> None:
        """Make room for another item."""
        self._room.release()

    def stop(self) -> None:
        """End the thread, also while it waits for the engine."""
        self._stopped.set()
        self._room.release()
        if self._source is not None:
            self._source.abort()


_END = object()


async def read_in_thread(
    open_source: Callable[[], BlockingStream[T]], name: str, places: StreamSlots
) -> AsyncGenerator[T, None]:
    """Read a blocking source in a thread of its own.

    Parameters
    ----------
    open_source
        Called in the thread; connects.
    places
        Bounds how many there are.
    """
    places.take()
    pump = _StreamReader(open_source, name, places)
    pump.start()
    try:
        while (item := await pump.queue.get()) is not _END:
            if isinstance(item, Exception):
                raise item
            pump.taken()
            yield item  # type: ignore[misc]
    finally:
        pump.stop()
        # A cancellation that comes meanwhile is not to be swallowed: its reader would never end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await pump.ended.wait()


SEND_AHEAD = 1
"""Pieces made ahead of the engine that takes them; they may have several MiB."""

SLICE = 2**20
"""Bytes sent at once: they are framed by a copy, which shall stay in the processor's cache."""

GIVE_UP = 5.0
"""Seconds that an abandoned upload gets to end; then its socket's own time limit ends it."""


class _Abandoned(Exception):
    """Raised in the thread, so that the request breaks off instead of looking complete."""


class _UploadQueue(Iterator[bytes]):
    """What the thread reads and the event loop fills."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: queue.SimpleQueue[bytes | _Abandoned | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(SEND_AHEAD)

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


def _in_thread(
    send: Callable[[Iterator[memoryview]], None], feed: _UploadQueue
) -> asyncio.Future[None]:
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
    feed = _UploadQueue()
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
