"""From a blocking stream in a thread of its own to an async iterator, with back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

from nds_jupyter.errors import TooBusy

T = TypeVar("T")

AHEAD = 2
"""Items read ahead of who reads them."""

RETRY_AFTER = 5
"""Seconds after which a place for a stream may be free."""


class Source(Iterator[T]):
    """A blocking iterator that another thread can end."""

    def abort(self) -> None:
        """Make a read that blocks return; called from another thread, any number of times."""
        raise NotImplementedError


class StreamPlaces:
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


class _Pump(threading.Thread):
    """Reads a source in a thread and hands its items to the event loop."""

    def __init__(
        self, open_source: Callable[[], Source[T]], name: str, places: StreamPlaces
    ) -> None:
        super().__init__(name=f"nds-{name}", daemon=True)
        self._places = places
        self._open_source = open_source
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(AHEAD)
        self._stopped = threading.Event()
        self._source: Source[T] | None = None
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
    open_source: Callable[[], Source[T]], name: str, places: StreamPlaces
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
    pump = _Pump(open_source, name, places)
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
