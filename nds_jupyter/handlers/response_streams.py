"""Streamed responses with back-pressure, ended when the client disconnects."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.iostream import IOStream, StreamClosedError

from nds_jupyter.engines.base import BytesLike, OpenSink, Sink


def supports_socket_sink(stream: object) -> bool:
    """Return whether bytes may be written past Tornado: not through TLS, which it does itself."""
    return (
        type(stream) is IOStream and hasattr(select, "poll") and hasattr(socket.socket, "sendmsg")
    )


class SocketSink:
    """Sink that writes HTTP chunks (RFC 9112, 7.1) to a socket; the last one is left to Tornado.

    Parameters
    ----------
    connection
        Socket of the response, whose headers were sent. Tornado goes on watching it for a
        disconnect; this has a descriptor of its own, since Tornado closes its own then.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection.dup()
        self._room = select.poll()
        self._room.register(self._socket, select.POLLOUT)

    def send(self, parts: Sequence[BytesLike]) -> None:
        """Write one chunk, however long the client takes."""
        left = [b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"]
        while left:
            try:
                left = _skip_sent(left, self._socket.sendmsg(left))
            except BlockingIOError:
                self._room.poll()

    def abort(self) -> None:
        """Cut the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the descriptor; the connection stays open."""
        self._socket.close()


def _skip_sent(parts: Sequence[BytesLike], sent: int) -> list[BytesLike]:
    """Return the parts without the bytes that were sent."""
    for number, part in enumerate(parts):
        if sent < len(part):
            return [memoryview(part)[sent:], *parts[number + 1 :]]
        sent -= len(part)
    return []


FRAME_THRESHOLD = 2**16
"""Bytes from which a chunk is framed without copies of it."""


class StreamingHandler(APIHandler):
    """Base of handlers that may send a stream."""

    _send_task: asyncio.Task[Any] | None = None
    _client_gone = False

    async def send_stream(
        self, chunks: AsyncGenerator[bytes, None], *, early: bool = False
    ) -> None:
        """Send chunks as they come, no faster than they are read.

        Parameters
        ----------
        early
            Send the headers before the first chunk, which may take long; an error after that can
            only close the connection.
        """
        with self._ends_on_disconnect():
            async with contextlib.aclosing(chunks):
                if early:
                    await self.flush()
                async for chunk in chunks:
                    await self._send_chunk(chunk)
            self._send_task = None
            await self.finish()

    async def send_by_thread(self, send: Callable[[OpenSink], Awaitable[None]]) -> None:
        """Have a stream written to the client's socket by the thread that reads it.

        A download through the event loop keeps it from everybody else, chunk by chunk. Only for
        a connection of which `can_send_by_thread` is true.

        Parameters
        ----------
        send
            Called with a function that sends the headers and returns the sink; returns when
            everything is written.
        """

        async def open_sink() -> Sink:
            await self.flush()
            return SocketSink(self._connection.stream.socket)

        with self._ends_on_disconnect():
            await send(open_sink)
            self._send_task = None
            await self.finish()

    @property
    def can_send_by_thread(self) -> bool:
        """Whether this response may be written past Tornado."""
        return self.request.version == "HTTP/1.1" and supports_socket_sink(self._connection.stream)

    @property
    def _connection(self) -> Any:
        return self.request.connection

    async def _send_chunk(self, chunk: bytes) -> None:
        """Send a chunk, and wait until the client has room for more.

        Tornado copies a chunk twice to frame it (RFC 9112, 7.1), which costs a large download a
        quarter of its rate. Large ones are framed here instead, on the connection that has sent the
        headers, and Tornado writes them as they lie.
        """
        framed = self._headers_written and self._headers.get("Transfer-Encoding") == "chunked"
        if len(chunk) < FRAME_THRESHOLD or not framed:
            self.write(chunk)
            await self.flush()
            return
        stream = self._connection.stream
        stream.write(b"%x\r\n" % len(chunk))
        stream.write(chunk)
        await stream.write(b"\r\n")

    @contextlib.contextmanager
    def _ends_on_disconnect(self) -> Iterator[None]:
        self._send_task = asyncio.current_task()
        try:
            yield
        except (StreamClosedError, ConnectionError):
            self.log.debug("%s: the reader went away.", self.request.path)
        except asyncio.CancelledError:
            if not self._client_gone:
                raise

    def on_connection_close(self) -> None:
        """Cancel the stream when the client has disconnected."""
        super().on_connection_close()
        self._client_gone = True
        if self._send_task is not None:
            self._send_task.cancel()
