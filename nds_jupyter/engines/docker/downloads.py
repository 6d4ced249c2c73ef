"""Downloads relayed from the engine to a sink in one thread, past the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from nds_jupyter.engines.base import OpenSink, Sink
from nds_jupyter.engines.docker.http_body import BodyReader
from nds_jupyter.engines.docker.thread_streams import StreamSlots

GIVE_UP = 5.0
"""Seconds that a thread gets to end which nobody waits for any more."""


class _DownloadRelay(threading.Thread):
    """Opens a stream, asks the event loop for its sink, and writes until the end."""

    def __init__(
        self, open_reader: Callable[[], BodyReader], open_sink: OpenSink, places: StreamSlots
    ) -> None:
        super().__init__(name="nds-relay", daemon=True)
        self._open_reader = open_reader
        self._open_sink = open_sink
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._reader: BodyReader | None = None
        self._sink: Sink | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def run(self) -> None:
        """Carry it out, and say how it ended."""
        error: BaseException | None = None
        try:
            self._reader = reader = self._open_reader()
            if not self._stopped.is_set():
                opening = asyncio.run_coroutine_threadsafe(self._open_sink(), self._loop)
                self._sink = sink = opening.result()
                for parts in reader.parts():
                    sink.send(parts)
        except BaseException as exc:  # noqa: BLE001 - handed to who waits, whatever it is
            error = exc
        finally:
            if self._reader is not None:
                self._reader.close()
            if self._sink is not None:
                self._sink.close()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        self._places.give_back()
        if self.ended.cancelled():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def stop(self) -> None:
        """End the thread, also while it waits for the engine or for who reads."""
        self._stopped.set()
        for end in (self._reader, self._sink):
            if end is not None:
                end.abort()


async def relay_in_thread(
    open_reader: Callable[[], BodyReader], open_sink: OpenSink, places: StreamSlots
) -> None:
    """Write a stream to a sink as it comes, from the thread that reads it.

    Parameters
    ----------
    open_reader
        Called in the thread; connects.
    open_sink
        Called in the event loop once the stream is open; what it returns belongs to the thread.
    places
        Bounds how many there are.
    """
    places.take()
    relay = _DownloadRelay(open_reader, open_sink, places)
    relay.start()
    try:
        await asyncio.shield(relay.ended)
    except asyncio.CancelledError:
        relay.stop()
        await asyncio.wait({relay.ended}, timeout=GIVE_UP)
        if relay.ended.done():
            relay.ended.exception()
        raise
