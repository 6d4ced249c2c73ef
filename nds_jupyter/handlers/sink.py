"""Writes an answer's body to its connection from a thread."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence

from tornado.iostream import IOStream

from nds_jupyter.engines.base import Part


def takes_a_sink(stream: object) -> bool:
    """Tell whether bytes may be written past Tornado: not through TLS, which it does itself."""
    return (
        type(stream) is IOStream and hasattr(select, "poll") and hasattr(socket.socket, "sendmsg")
    )


class SocketSink:
    """Frames what it is given as HTTP chunks (RFC 9112, 7.1); the last one is left to Tornado.

    Parameters
    ----------
    connection
        Of the answer, whose headers were sent. Tornado goes on watching it for the reader's end;
        this has a descriptor of its own, since Tornado closes its own then.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection.dup()
        self._room = select.poll()
        self._room.register(self._socket, select.POLLOUT)

    def send(self, parts: Sequence[Part]) -> None:
        """Write one chunk, however long the reader takes."""
        left = [b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"]
        while left:
            try:
                left = _after(left, self._socket.sendmsg(left))
            except BlockingIOError:
                self._room.poll()

    def abort(self) -> None:
        """Cut the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the descriptor; the connection stays open."""
        self._socket.close()


def _after(parts: Sequence[Part], sent: int) -> list[Part]:
    """Return what is left after so many bytes."""
    for number, part in enumerate(parts):
        if sent < len(part):
            return [memoryview(part)[sent:], *parts[number + 1 :]]
        sent -= len(part)
    return []
