"""Streams between the Docker SDK in threads and the event loop, with back-pressure.

`read_in_thread` reads from the engine for the event loop, `send_in_thread` uploads what the event
loop produces, and `relay_in_thread` writes a download to a sink past the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from typing import TypeVar

from nds_jupyter.engines.base import BytesLike, OpenSink, Sink
from nds_jupyter.errors import TooBusy

T = TypeVar("T")

READ_AHEAD = 2
"""Items read ahead of the consumer."""

RETRY_AFTER = 5
"""Seconds after which a slot for a stream may be free."""

END_TIMEOUT = 5.0
"""Seconds that an abandoned thread gets to end; then its socket's own time limit ends it."""


class BlockingStream(Iterator[T]):
    """A blocking iterator that another thread can end."""

    def abort(self) -> None:
        """Make a read that blocks return; called from another thread, any number of times."""
        raise NotImplementedError


class BlockingByteStream(BlockingStream[bytes]):
    """A blocking stream of bytes that can also be read without joining them."""

    def buffers(self) -> Iterator[list[BytesLike]]:
        """Yield what has come, as it lies in memory."""
        raise NotImplementedError

    def close(self) -> None:
        """Free the connection."""
        raise NotImplementedError


class StreamSlots:
    """Bounded number of streams, so that followers can never take every thread of the process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    def acquire(self) -> None:
        """Take a slot; `TooBusy` if there is none."""
        if self._used >= self._limit:
            raise TooBusy(
                f"All {self._limit} streams of the engine are in use. Try again in a moment.",
                retry_after=RETRY_AFTER,
            )
        self._used += 1

    def release(self) -> None:
        """Give a slot back."""
        self._used -= 1


class _StreamReader(threading.Thread):
    """Thread that reads a blocking stream and puts its items into a queue of the event loop."""

    def __init__(
        self, open_stream: Callable[[], BlockingStream[T]], name: str, slots: StreamSlots
    ) -> None:
        super().__init__(name=f"nds-{name}", daemon=True)
        self._slots = slots
        self._open_stream = open_stream
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(READ_AHEAD)
        self._stopped = threading.Event()
        self._stream: BlockingStream[T] | None = None
        self.queue: asyncio.Queue[object] = asyncio.Queue()
        self.ended = asyncio.Event()

    def run(self) -> None:
        """Read until the end, an error or a stop; then put that into the queue."""
        try:
            self._stream = stream = self._open_stream()
            if self._stopped.is_set():
                # Who stops it while it connects has found nothing to abort.
                stream.abort()
            for item in stream:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                self._put(item)
            self._put(_END)
        except Exception as exc:  # noqa: BLE001 - raised by the consumer, whatever it is
            self._put(exc)
        finally:
            if self._stream is not None:
                self._stream.abort()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        # Not before: a thread that an engine keeps waiting still counts.
        self._slots.release()
        self.ended.set()

    def _put(self, item: object) -> None:
        # The loop is closed when the server ends while a stream is open.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.queue.put_nowait, item)

    def make_room(self) -> None:
        """Let another item be read ahead."""
        self._room.release()

    def stop(self) -> None:
        """End the thread, also while it waits for the engine."""
        self._stopped.set()
        self._room.release()
        if self._stream is not None:
            self._stream.abort()


_END = object()


async def read_in_thread(
    open_stream: Callable[[], BlockingStream[T]], name: str, slots: StreamSlots
) -> AsyncGenerator[T, None]:
    """Read a blocking stream in a thread of its own.

    Parameters
    ----------
    open_stream
        Called in the thread; connects.
    slots
        Bounds how many there are.
    """
    slots.acquire()
    reader = _StreamReader(open_stream, name, slots)
    reader.start()
    try:
        while (item := await reader.queue.get()) is not _END:
            if isinstance(item, Exception):
                raise item
            reader.make_room()
            yield item  # type: ignore[misc]
    finally:
        reader.stop()
        # A cancellation that comes meanwhile is not to be swallowed: its reader would never end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await reader.ended.wait()


UPLOAD_AHEAD = 1
"""Chunks made ahead of the engine that takes them; they may have several MiB."""

SLICE = 2**20
"""Bytes sent at once: they are framed by a copy, which shall stay in the processor's cache."""


class _Abandoned(Exception):
    """Raised in the thread, so that the request breaks off instead of looking complete."""


class _UploadQueue(Iterator[bytes]):
    """Queue of chunks that the event loop fills and the thread iterates over."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: queue.SimpleQueue[bytes | _Abandoned | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(UPLOAD_AHEAD)

    def __next__(self) -> bytes:
        chunk = self._chunks.get()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.release)
        if chunk is None:
            raise StopIteration
        if isinstance(chunk, _Abandoned):
            raise chunk
        return chunk

    async def put(self, chunk: bytes) -> None:
        await self._room.acquire()
        self._chunks.put(chunk)

    def end(self) -> None:
        self._chunks.put(None)

    def abandon(self) -> None:
        self._chunks.put(_Abandoned())


def _slices(chunks: Iterator[bytes]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), SLICE):
            yield view[start : start + SLICE]


def _start_upload(
    send: Callable[[Iterator[memoryview]], None], chunks: _UploadQueue
) -> asyncio.Future[None]:
    """Start the thread of an upload, and return a future of its end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def work() -> None:
        error: BaseException | None = None
        try:
            send(_slices(chunks))
        except BaseException as exc:  # noqa: BLE001 - raised by who waits, whatever it is
            error = exc
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, ended, error)

    threading.Thread(target=work, name="nds-upload", daemon=True).start()
    return ended


def _resolve(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


async def _abandon(ended: asyncio.Future[None]) -> None:
    """Wait a moment for the end of a thread whose result nobody needs."""
    await asyncio.wait({ended}, timeout=END_TIMEOUT)
    if ended.done() and not ended.cancelled():
        # Else asyncio would complain of an exception that was never retrieved.
        ended.exception()


async def send_in_thread(
    chunks: AsyncIterable[bytes], send: Callable[[Iterator[memoryview]], None]
) -> None:
    """Upload chunks as they come.

    Parameters
    ----------
    send
        Called in the thread with an iterator of their bytes; blocks until the other side
        has answered.

    Raises
    ------
    Exception
        What the iteration over `chunks` raised, else what `send` raised.
    """
    upload = _UploadQueue()
    ended = _start_upload(send, upload)
    try:
        async for chunk in chunks:
            putting = asyncio.ensure_future(upload.put(chunk))
            await asyncio.wait({putting, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                putting.cancel()
                break
        upload.end()
        await asyncio.shield(ended)
    except BaseException:
        upload.abandon()
        await _abandon(ended)
        raise


class _DownloadRelay(threading.Thread):
    """Thread that opens a stream, has the event loop open its sink, and writes until the end."""

    def __init__(
        self,
        open_stream: Callable[[], BlockingByteStream],
        open_sink: OpenSink,
        slots: StreamSlots,
    ) -> None:
        super().__init__(name="nds-relay", daemon=True)
        self._open_stream = open_stream
        self._open_sink = open_sink
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._stream: BlockingByteStream | None = None
        self._sink: Sink | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def run(self) -> None:
        """Write until the end, and resolve `ended`."""
        error: BaseException | None = None
        try:
            self._stream = stream = self._open_stream()
            if not self._stopped.is_set():
                opening = asyncio.run_coroutine_threadsafe(self._open_sink(), self._loop)
                self._sink = sink = opening.result()
                for buffers in stream.buffers():
                    sink.send(buffers)
        except BaseException as exc:  # noqa: BLE001 - raised by who waits, whatever it is
            error = exc
        finally:
            if self._stream is not None:
                self._stream.close()
            if self._sink is not None:
                self._sink.close()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        self._slots.release()
        _resolve(self.ended, error)

    def stop(self) -> None:
        """End the thread, also while it waits for the engine or the sink."""
        self._stopped.set()
        for end in (self._stream, self._sink):
            if end is not None:
                end.abort()


async def relay_in_thread(
    open_stream: Callable[[], BlockingByteStream], open_sink: OpenSink, slots: StreamSlots
) -> None:
    """Write a stream to a sink as it comes, from the thread that reads it.

    Parameters
    ----------
    open_stream
        Called in the thread; connects.
    open_sink
        Called in the event loop once the stream is open; what it returns belongs to the thread.
    slots
        Bounds how many there are.
    """
    slots.acquire()
    relay = _DownloadRelay(open_stream, open_sink, slots)
    relay.start()
    try:
        await asyncio.shield(relay.ended)
    except asyncio.CancelledError:
        relay.stop()
        await _abandon(relay.ended)
        raise
