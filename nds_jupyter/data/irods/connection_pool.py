"""Connection pool of one session.

The client's own pool hands out connections that died while they were idle, keeps a connection that
was interrupted in the middle of an answer, and connects while it holds its lock.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

from irods.connection import Connection
from irods.exception import NetworkException, iRODSException
from irods.pool import Pool
from irods.ticket import Ticket

from nds_jupyter.data.irods.config import REFUSE
from nds_jupyter.data.irods.errors import CLIENT_ERRORS, is_timeout

MAX_IDLE_CONNECTIONS = 8
"""Connections kept open without use; each is a process on the server."""

MAX_IDLE_SECONDS = 240.0
"""Seconds after which an unused connection is closed: firewalls forget silent ones."""

SPARE_RETRY_INTERVAL = 60.0
"""Seconds for which a server that refused a further connection is not asked for one again."""

_KEEPALIVE_OPTIONS = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class PooledConnection(Connection):  # type: ignore[misc]  # the client has no types
    """A connection that is thrown away if it was left between a request and its answer."""

    rested = 0.0
    socket: Any

    def __init__(self, pool: ConnectionPool, account: Any) -> None:
        try:
            super().__init__(pool, account)
        except (SyntaxError, struct.error) as exc:
            self.close_socket()
            raise NetworkException("What answers does not speak iRODS") from exc
        except BaseException:
            self.close_socket()
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Give it back; only an error that the server told leaves it in step."""
        self.release(kind is not None and not issubclass(kind, iRODSException))

    def send(self, message: Any) -> None:
        """Send a request; the client's own makes a lost connection of an interrupted cell."""
        try:
            self.socket.sendall(message.pack())
        except (OSError, AttributeError) as exc:
            self.release(True)
            raise NetworkException("Unable to send message") from exc

    def disconnect(self) -> None:
        """Part from the server, which need not be there any more."""
        held = getattr(self, "socket", None)
        with contextlib.suppress(OSError, NetworkException):
            super().disconnect()
        if held is not None:
            held.close()

    def close_socket(self) -> None:
        """Close it without a word to the server, which another process may still talk to."""
        held, self._disconnected = self.socket, True
        self.socket = None
        if held is not None:
            with contextlib.suppress(OSError):
                held.close()


class ConnectionPool(Pool):  # type: ignore[misc]  # the client has no types
    """A pool of connections for many threads.

    Parameters
    ----------
    timeout
        Seconds of silence after which an answer is given up.
    patience
        Seconds for which a refused connection is tried again: a server that reloads its
        configuration refuses them for 2 to 12 s.
    policies
        What to ask about TLS, in this order.
    """

    def __init__(
        self,
        account: Any,
        *,
        session: Any,
        timeout: float,
        patience: float,
        policies: tuple[str, ...] = (),
    ) -> None:
        super().__init__(account, application_name="nds_jupyter", session=session)
        self.active: set[PooledConnection] = set()
        self.idle: set[PooledConnection] = set()
        self.connection_timeout = timeout
        self._patience = patience
        self._policies = policies
        self._fail_fast_until = 0.0
        self._no_spare_until = 0.0
        self._thread_options = threading.local()

    def get_connection(self) -> PooledConnection:
        """Return a live connection, for the caller alone until it is released."""
        return self._activate(self._take_idle() or self._connect_with_retries())

    def spare_connection(self) -> PooledConnection | None:
        """Return one more connection, for who could do without; None if the server refuses it."""
        conn = self._take_idle()
        if conn is None and time.monotonic() >= self._no_spare_until:
            try:
                conn = self._connect()
            except CLIENT_ERRORS:
                self._no_spare_until = time.monotonic() + SPARE_RETRY_INTERVAL
        return None if conn is None else self._activate(conn)

    def _activate(self, conn: PooledConnection) -> PooledConnection:
        with self._lock:
            self.active.add(conn)
        unlimited = getattr(self._thread_options, "on", False)
        conn.socket.settimeout(None if unlimited else self.connection_timeout)
        return conn

    def release_connection(self, conn: PooledConnection, destroy: bool = False) -> None:
        """Take a connection back, to keep or to close."""
        with self._lock:
            self.active.discard(conn)
            keep = not destroy and conn.socket is not None and len(self.idle) < MAX_IDLE_CONNECTIONS
            if keep:
                conn.idle_since = time.monotonic()
                self.idle.add(conn)
            else:
                self.idle.discard(conn)
        if destroy:
            conn.close_socket()
        elif not keep:
            conn.disconnect()

    @contextlib.contextmanager
    def without_deadline(self) -> Iterator[None]:
        """Let this thread wait for what the server computes as long as the server lives."""
        before = getattr(self._thread_options, "on", False)
        self._thread_options.on = True
        try:
            yield
        finally:
            self._thread_options.on = before

    def close_idle(self) -> None:
        """Forget the idle connections: where one is dead the others are."""
        with self._lock:
            dropped, self.idle = self.idle, set()
        for conn in dropped:
            conn.close_socket()

    def close_all_sockets(self) -> None:
        """Close what a parent process holds too, without locks that its threads may have held."""
        for conn in [*self.active, *self.idle]:
            conn.close_socket()
        self.active, self.idle = set(), set()

    def _take_idle(self) -> PooledConnection | None:
        while True:
            with self._lock:
                if not self.idle:
                    return None
                conn: PooledConnection = max(self.idle, key=lambda each: each.idle_since)
                self.idle.discard(conn)
            if _is_silent(conn.socket) and time.monotonic() - conn.idle_since < MAX_IDLE_SECONDS:
                return conn
            conn.close_socket()

    def _connect_with_retries(self) -> PooledConnection:
        give_up = time.monotonic() + self._patience
        pause = 0.1
        while True:
            try:
                conn = self._connect()
            except NetworkException as exc:
                now = time.monotonic()
                if not _may_pass(exc) or now + pause > give_up or now < self._fail_fast_until:
                    # Who asks next shall not wait as long for what is surely down.
                    self._fail_fast_until = now + self._patience
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
            else:
                self._fail_fast_until = 0.0
                return conn

    def _connect(self) -> PooledConnection:
        try:
            conn = PooledConnection(self, self.account)
        except NetworkException as exc:
            open_to_tcp = REFUSE in self._policies[1:]
            if not open_to_tcp or "negotiation failure" not in str(exc):
                raise
            self.account.client_server_policy = REFUSE
            conn = PooledConnection(self, self.account)
        _keep_alive(conn.socket)
        session = self.session_ref()
        if session is not None and session.ticket__:
            Ticket._lowlevel_api_request(conn, "session", session.ticket__)
        return conn


def _may_pass(exc: NetworkException) -> bool:
    """Tell whether a server that restarts explains it."""
    cause = exc.__cause__ or exc.__context__
    return not is_timeout(exc) and (
        isinstance(cause, ConnectionError)
        or "Could not receive" in str(exc)
        or (isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH))
    )


def _is_silent(held: socket.socket | None) -> bool:
    """Tell whether nothing waits to be read: an idle connection only ever says that it ended."""
    if held is None or held.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(held, select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)


def _keep_alive(held: socket.socket) -> None:
    """Find out in minutes that the other host is gone, also while nothing is to be said."""
    held.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE_OPTIONS:
        if hasattr(socket, name):
            held.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
