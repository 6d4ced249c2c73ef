"""A proxy that carries bytes between clients and a server, and can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

PIECE = 64 * 1024

Address = Path | tuple[str, int]
"""The path of a Unix socket, or a host and a port."""


class ByteProxy:
    """Carries bytes between a socket of its own and a server's.

    Parameters
    ----------
    address
        Where it listens.
    server
        Where it connects to.
    """

    def __init__(self, address: Address, server: Address) -> None:
        self.address = address
        self._server = server
        self._listener: socket.socket
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._acceptor: threading.Thread
        self._threads: list[threading.Thread] = []

    @contextlib.contextmanager
    def serving(self) -> Iterator[Self]:
        """Serve while the block runs."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Take connections, also after it was stopped."""
        self._listener = _made(self.address)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(_bound(self.address))
        self._listener.listen(64)
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Refuse connections, and cut those that are open."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self.cut()
        for each in self._threads:
            each.join()

    def cut(self) -> None:
        """Cut every connection, as a server that restarts."""
        with self._lock:
            for each in self._open:
                end(each, socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for number in count(1):
                client, _ = listener.accept()
                server = _made(self._server)
                with self._lock:
                    self._open |= {client, server}
                thread = threading.Thread(
                    target=self._connect, args=(client, server, number), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _connect(self, client: socket.socket, server: socket.socket, number: int) -> None:
        with client, server:
            with contextlib.suppress(OSError):
                server.connect(_bound(self._server))
                self.carry(client, server, number)
            with self._lock:
                self._open -= {client, server}

    def carry(self, client: socket.socket, server: socket.socket, number: int) -> None:
        """Carry what passes over one connection; the first one has the number 1."""
        del number
        both_ways(partial(pass_on, client, server), partial(pass_on, server, client))


def _made(address: Address) -> socket.socket:
    return socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET)


def _bound(address: Address) -> str | tuple[str, int]:
    return str(address) if isinstance(address, Path) else address


def both_ways(there: Callable[[], None], back: Callable[[], None]) -> None:
    """Do two things at one time, and wait for both."""
    other = threading.Thread(target=back, daemon=True)
    other.start()
    try:
        there()
    finally:
        other.join()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes from one end, and then that nothing more comes."""
    with contextlib.suppress(OSError):
        while data := source.recv(PIECE):
            target.sendall(data)
    end(target, socket.SHUT_WR)


def end(connection: socket.socket, how: int) -> None:
    """Shut a connection that may be shut already."""
    with contextlib.suppress(OSError):
        connection.shutdown(how)
