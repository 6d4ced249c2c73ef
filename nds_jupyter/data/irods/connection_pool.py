"""Connection pool of one session.

The client's own pool returns connections that died while they were idle, reuses a connection that
was interrupted in the middle of a reply, and connects while it holds its lock.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

from irods.api_number import api_number
from irods.connection import Connection
from irods.exception import CAT_SQL_ERR, NetworkException, iRODSException
from irods.message import (
    Error,
    GenQueryRequest,
    IntegerIntegerMap,
    IntegerStringMap,
    StringStringMap,
    iRODSMessage,
)
from irods.models import Zone
from irods.pool import Pool
from irods.ticket import Ticket

from nds_jupyter.data.irods.config import REFUSE
from nds_jupyter.data.irods.exceptions import (
    CLIENT_ERRORS,
    CatalogueLost,
    is_timeout,
    server_code,
)
from nds_jupyter.data.irods.server_codes import UnlistedServerError, code_of, thousands

MAX_IDLE_CONNECTIONS = 8
"""Idle connections that are kept open; each is a process on the server."""

MAX_IDLE_SECONDS = 240.0
"""Seconds after which an idle connection is closed: firewalls drop silent ones."""

SPARE_RETRY_INTERVAL = 60.0
"""Seconds before a further connection is tried again after the server refused one."""

_READING = frozenset(
    number
    for name, number in api_number.items()
    if name
    in {
        "GEN_QUERY_AN",
        "GENQUERY2_AN",
        "SPECIFIC_QUERY_AN",
        "OBJ_STAT_AN",
        "DATA_OBJ_GET_AN",
        "DATA_OBJ_READ_AN",
        "DATA_OBJ_LSEEK_AN",
        "GET_FILE_DESCRIPTOR_INFO_APN",
        "GET_MISC_SVR_INFO_AN",
        "GET_RESOURCE_INFO_FOR_OPERATION_AN",
        "QUERY_SPEC_COLL_AN",
        "OPEN_COLLECTION_AN",
        "READ_COLLECTION_AN",
        "CLOSE_COLLECTION_AN",
    }
)
"""Requests that change nothing; opening an object is one of them where it is opened to read."""

_TOLD_WHEN_CATALOGUE_IS_LOST = frozenset(
    map(
        code_of,
        (
            "CAT_SQL_ERR",
            "CAT_GET_ROW_ERR",
            "CAT_INVALID_ARGUMENT",
            "CAT_NO_ACCESS_PERMISSION",
            "CAT_UNKNOWN_FILE",
            "SYS_INVALID_INPUT_PARAM",
            "SYS_LIBRARY_ERROR",
            "USER_FILE_DOES_NOT_EXIST",
        ),
    )
)
"""What a server answers that lost its database, beside its true meaning."""

_REFUSED_BEFORE_A_CHANGE = frozenset(
    map(code_of, ("OVERWRITE_WITHOUT_FORCE_FLAG", "HIERARCHY_ERROR"))
)
"""Errors of finding out whether and where something is written, before the catalogue changes."""

_KEEPALIVE_OPTIONS = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class PooledConnection(Connection):  # type: ignore[misc]  # the client has no types
    """Connection that is closed, not pooled, wherever the server may not be done with it.

    That is between a request and its reply, and after an error in a request that changes something:
    the server can leave its database transaction open then. What it did by halves is committed by
    the next change on this connection, and rolled back when the connection ends; until then others
    that change the same things wait without an answer.
    """

    socket: Any

    def __init__(self, pool: ConnectionPool, account: Any) -> None:
        self._changes = self._awaits_reply = self._may_hold_transaction = False
        try:
            super().__init__(pool, account)
        except (SyntaxError, struct.error) as exc:
            self.close_socket()
            raise NetworkException("What answers does not speak iRODS") from exc
        except OSError as exc:
            self.close_socket()
            if isinstance(exc, ssl.SSLError) and not isinstance(exc, _TLS_ENDS):
                raise
            raise NetworkException("Could not receive all of the handshake") from exc
        except BaseException:
            self.close_socket()
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Give it back to the pool, or close it where an error left it without a reply."""
        self.release(kind is not None and not issubclass(kind, iRODSException))

    def release(self, destroy: bool = False) -> None:
        """Give it back to the pool, which closes it if the server may not be done with it."""
        super().release(destroy or self._awaits_reply or self._may_hold_transaction)

    def send(self, message: Any) -> None:
        """Send a request; the client's own method reports an interrupt as a lost connection."""
        self._changes, self._awaits_reply = _changes_something(message), True
        try:
            self.socket.sendall(message.pack())
        except (OSError, AttributeError) as exc:
            self.release(True)
            raise NetworkException("Unable to send message") from exc

    def recv(
        self,
        into_buffer: Any = None,
        return_message: Any = (),
        acceptable_errors: Any = (),
    ) -> Any:
        """Receive a reply; the client's own method knows a part of the server's codes only."""
        received = return_message if isinstance(return_message, list) else []
        try:
            reply = super().recv(into_buffer, received, acceptable_errors)
        except (iRODSException, KeyError) as exc:
            if not received:
                raise
            self._awaits_reply = False
            error = exc if isinstance(exc, iRODSException) else _unlisted_error(received[0])
            self._note_error(error)
            raise error from None
        self._awaits_reply = False
        if reply.int_info < 0:
            self._note_error(UnlistedServerError(reply.int_info))
        return reply

    def reply(self, api_reply_index: int) -> None:
        """Acknowledge a part of a reply, of which another part follows."""
        self._awaits_reply = True
        super().reply(api_reply_index)

    def _note_error(self, error: iRODSException) -> None:
        code = thousands(server_code(error))
        if self._changes and code not in _REFUSED_BEFORE_A_CHANGE:
            self._may_hold_transaction = True
        if code in _TOLD_WHEN_CATALOGUE_IS_LOST and not self.reaches_catalogue():
            self._may_hold_transaction = True
            raise CatalogueLost("The server has lost its catalogue") from error

    def reaches_catalogue(self) -> bool:
        """Whether the server's own connection to its database works, found by a small query."""
        body = GenQueryRequest(
            maxRows=_MAX_ROWS,
            continueInx=0,
            partialStartIndex=0,
            options=0,
            KeyValPair_PI=StringStringMap({}),
            InxIvalPair_PI=IntegerIntegerMap({Zone.name.icat_id: 1}),
            InxValPair_PI=IntegerStringMap({}),
        )
        changes = self._changes
        self.send(iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number["GEN_QUERY_AN"]))
        try:
            super().recv()
        except CAT_SQL_ERR:
            return False
        except (iRODSException, KeyError):
            return True
        finally:
            self._changes, self._awaits_reply = changes, self.socket is None
        return True

    def disconnect(self) -> None:
        """Disconnect from the server, which may be gone already."""
        sock = getattr(self, "socket", None)
        with contextlib.suppress(OSError, NetworkException):
            super().disconnect()
        if sock is not None:
            sock.close()

    def close_socket(self) -> None:
        """Close the socket without a message to the server, which another process may still use."""
        sock, self._disconnected = self.socket, True
        self.socket = None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()


_MAX_ROWS = 256
"""Rows of one answer of GenQuery1."""

_TLS_ENDS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""TLS that ended before it began, as by a server that restarts."""


def _changes_something(message: Any) -> bool:
    """Whether a request can change anything in the zone."""
    if message.msg_type not in ("RODS_API_REQ", b"RODS_API_REQ"):
        return False
    if message.int_info == api_number["DATA_OBJ_OPEN_AN"]:
        return bool(message.msg.openFlags)
    return message.int_info not in _READING


def _unlisted_error(reply: Any) -> UnlistedServerError:
    """Return the error of a reply whose code the client has no exception for."""
    message = None
    if reply.error:
        # The client takes the first of the server's messages too.
        message = iRODSMessage(msg=reply.error).get_main_message(Error).RErrMsg_PI[0].msg
    return UnlistedServerError(reply.int_info, message)


class ConnectionPool(Pool):  # type: ignore[misc]  # the client has no types
    """Thread-safe pool of connections.

    Parameters
    ----------
    timeout
        Seconds without data after which a reply times out.
    patience
        Seconds for which a refused connection is retried: a server that reloads its
        configuration refuses them for 2 to 12 s.
    policies
        TLS policies to negotiate, in this order.
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
        """Return a live connection, exclusive until it is released."""
        return self._activate(self._take_idle() or self._connect_with_retries())

    def spare_connection(self) -> PooledConnection | None:
        """Return one more connection if possible; None if the server refuses it."""
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
        no_deadline = getattr(self._thread_options, "no_deadline", False)
        conn.socket.settimeout(None if no_deadline else self.connection_timeout)
        return conn

    def release_connection(self, conn: PooledConnection, destroy: bool = False) -> None:
        """Return a connection to the pool, which keeps or closes it."""
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
        """Let this thread wait for replies without a timeout, as long as the server lives."""
        before = getattr(self._thread_options, "no_deadline", False)
        self._thread_options.no_deadline = True
        try:
            yield
        finally:
            self._thread_options.no_deadline = before

    def close_idle(self) -> None:
        """Close the idle connections: where one is dead, the others are too."""
        with self._lock:
            idle, self.idle = self.idle, set()
        for conn in idle:
            conn.close_socket()

    def close_all_sockets(self) -> None:
        """Close the sockets in a forked child, without locks that threads of its parent held."""
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
            if _is_alive(conn.socket) and time.monotonic() - conn.idle_since < MAX_IDLE_SECONDS:
                return conn
            conn.close_socket()

    def _connect_with_retries(self) -> PooledConnection:
        deadline = time.monotonic() + self._patience
        backoff = 0.1
        while True:
            try:
                conn = self._connect()
            except NetworkException as exc:
                now = time.monotonic()
                if (
                    not _is_transient(exc)
                    or now + backoff > deadline
                    or now < self._fail_fast_until
                ):
                    # The next call must not wait as long for a server that is surely down.
                    self._fail_fast_until = now + self._patience
                    raise
                time.sleep(backoff)
                backoff = min(2 * backoff, 2.0)
            else:
                self._fail_fast_until = 0.0
                return conn

    def _connect(self) -> PooledConnection:
        try:
            conn = PooledConnection(self, self.account)
        except NetworkException as exc:
            tcp_allowed = REFUSE in self._policies[1:]
            if not tcp_allowed or "negotiation failure" not in str(exc):
                raise
            self.account.client_server_policy = REFUSE
            conn = PooledConnection(self, self.account)
        _enable_keepalive(conn.socket)
        session = self.session_ref()
        if session is not None and session.ticket__:
            try:
                Ticket._lowlevel_api_request(conn, "session", session.ticket__)
            except BaseException:
                conn.close_socket()
                raise
        return conn


def _is_transient(exc: NetworkException) -> bool:
    """Whether a restarting server can be the cause."""
    cause = exc.__cause__ or exc.__context__
    return not is_timeout(exc) and (
        isinstance(cause, (ConnectionError, *_TLS_ENDS))
        or "Could not receive" in str(exc)
        or (isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH))
    )


def _is_alive(sock: socket.socket | None) -> bool:
    """Whether nothing can be read: on an idle connection that could only be its end."""
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)


def _enable_keepalive(sock: socket.socket) -> None:
    """Detect within minutes that the other host is gone, also on an idle connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE_OPTIONS:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
