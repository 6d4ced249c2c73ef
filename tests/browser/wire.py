"""What lies between a browser and its server, and can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from dev.jupyter import free_port

PIECE = 64 * 1024


class Wire:
    """Carries bytes between a port of its own and a server's.

    Parameters
    ----------
    server
        The server's port on this machine.
    """

    def __init__(self, server: int) -> None:
        self.port = free_port()
        self._server = server
        self._open: set[socket.socket] = set()
        self._listener: socket.socket

    def join(self) -> None:
        """Take connections, also after they were cut."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End all connections, and refuse others."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            _end(each)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                target.sendall(piece)
        for each in (source, target):
            _end(each)
            each.close()
            self._open.discard(each)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def joined(server: int) -> Iterator[Wire]:
    """Join a wire until the end of the block."""
    wire = Wire(server)
    wire.join()
    try:
        yield wire
    finally:
        wire.cut()
