"""Transports of the Docker SDK over sockets that are opened here: Unix sockets, and `ssh`.

`UnixHTTPConnection.connect` of the SDK drops the socket that failed to connect, to be closed
whenever it is collected: with an engine that is down and retried for hours, that is a leak.

By ssh, `docker system dial-stdio` at the other end leads to the engine's socket, as for Docker's
own command line. The SDK's way there needs paramiko even where it starts `ssh`, starts one for each
call, reads without a time limit and leaves what `ssh` writes to the server's terminal; here `ssh`
has one end of a pair of sockets, and everything that works on a socket works on the other.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from docker.transport.basehttpadapter import BaseHTTPAdapter
from docker.transport.unixconn import UnixHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

SSH_SCHEME = "ssh://"
SSH_BASE = "http+docker://ssh"
UNIX_BASE = "http+docker://"

OpenSocket = Callable[[Any], socket.socket]
"""Opens a connection to an engine, given the seconds for each of its steps; None for no end."""

SEND_BUFFER = 2**20
"""Bytes that the kernel takes before the engine reads them, so that both sides work at one time.

The kernel gives less where its own limit is lower.
"""

CONNECT_TIMEOUT = 10
ALIVE_INTERVAL = 15
"""Seconds of silence after which `ssh` asks whether the other end is there; three times, then it
ends."""

EXIT_TIMEOUT = 2.0
"""Seconds that `ssh` gets to end and to write why, after it has closed the connection."""

MAX_ERROR_LENGTH = 300

_ERROR_TEXTS = (
    (
        "IDENTIFICATION HAS CHANGED",
        "it shows another host key than known_hosts has. Find out why; if the machine was made "
        "anew, remove the old key by ssh-keygen -R",
    ),
    (
        "Host key verification failed",
        "known_hosts has no key of it. Log in once by hand as the server's account, or add the key "
        "there",
    ),
    (
        "Permission denied",
        "it accepts none of the server account's keys. Add the account's public key to "
        "authorized_keys there",
    ),
)


class SshError(OSError):
    """`ssh` ended before the engine had answered; the message says why."""


def ssh_command(url: str) -> tuple[str, ...]:
    """Return the command line for ``ssh://[user@]host[:port][/path/of/docker.sock]``.

    Raises
    ------
    SshError
        If the URL is none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise SshError(f"{url} is no URL of the form ssh://user@host:port") from exc
    if parts.password is not None:
        raise SshError("an ssh:// URL can't have a password: let the account log in by a key")
    if not host:
        raise SshError(f"{url} names no host")
    socket_path = parts.path.rstrip("/")
    host_option = ("--host", f"unix://{socket_path}") if socket_path else ()
    remote = shlex.join(("docker", *host_option, "system", "dial-stdio"))
    return (
        "ssh",
        # Nobody is there to type a password or to look at a host key.
        *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_TIMEOUT}"),
        *("-o", f"ServerAliveInterval={ALIVE_INTERVAL}", "-T"),
        *(("-l", parts.username) if parts.username else ()),
        *(("-p", str(port)) if port else ()),
        *("--", host, remote),
    )


def ssh_error_text(output: str) -> str:
    """Return in one line why a connection failed, from what `ssh` has written."""
    for words, text in _ERROR_TEXTS:
        if words in output:
            return text
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:MAX_ERROR_LENGTH].rstrip(".") if lines else "ssh ended without a word"


class _SshSocket(socket.socket):
    """Socket whose other end is the input and output of an `ssh` process."""

    def __init__(self, command: tuple[str, ...]) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - no shell; the URL is the administrator's
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._stderr,
                    # An interrupt at the server's terminal is not meant for it.
                    start_new_session=True,
                )
        except OSError as exc:
            self._stderr.close()
            super()._real_close()  # type: ignore[misc]
            raise SshError(f"the ssh program can't be run: {exc}") from exc

    def has_ended(self) -> bool:
        """Wait for the first byte of the response; True if `ssh` ends instead."""
        try:
            return not self.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True

    def error_text(self) -> str:
        """Return why `ssh` has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_TIMEOUT)
        self._stderr.seek(0)
        return ssh_error_text(self._stderr.read().decode(errors="replace"))

    def _real_close(self, *arguments: Any) -> None:
        super()._real_close(*arguments)  # type: ignore[misc]
        self._process.terminate()
        try:
            self._process.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()


def _open_ssh(url: str, timeout: float | None) -> socket.socket:
    connection = _SshSocket(ssh_command(url))
    connection.settimeout(timeout)
    return connection


def _open_unix(path: str, timeout: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


class _SocketConnection(HTTPConnection):
    """Connection of urllib3 over a socket that a function opens, given a timeout."""

    def __init__(self, open_socket: OpenSocket, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._open_socket = open_socket

    def connect(self) -> None:
        self.sock = self._open_socket(self.timeout)

    def getresponse(self) -> Any:
        if isinstance(self.sock, _SshSocket):
            self.sock.settimeout(self.timeout)
            if self.sock.has_ended():
                raise SshError(self.sock.error_text())
        return super().getresponse()


class _SocketPool(HTTPConnectionPool):
    """Connection pool of urllib3 over such sockets."""

    def __init__(self, open_socket: OpenSocket, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._open_socket = open_socket

    def _new_conn(self) -> Any:
        return _SocketConnection(self._open_socket, self.timeout.connect_timeout)


class _SocketAdapter(BaseHTTPAdapter):  # type: ignore[misc, unused-ignore]
    """Adapter of `requests` with one connection pool for every URL."""

    def __init__(self, open_socket: OpenSocket, timeout: Any) -> None:
        super().__init__()
        self._pool = _SocketPool(open_socket, timeout)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        del url, proxies
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> Any:
        del proxies
        return request.path_url

    def close(self) -> None:
        self._pool.close()
        super().close()


def mount_ssh(client: Any, url: str, timeout: Any) -> None:
    """Have a client of the SDK connect to its engine by `ssh`."""
    client.mount(SSH_BASE, _SocketAdapter(partial(_open_ssh, url), timeout))
    client.base_url = SSH_BASE


def mount_unix_socket(client: Any) -> None:
    """Have a client of a Unix socket connect by `_open_unix`; others are left alone."""
    adapter = client.adapters.get(UNIX_BASE)
    if isinstance(adapter, UnixHTTPAdapter):
        open_socket = partial(_open_unix, adapter.socket_path)
        client.mount(UNIX_BASE, _SocketAdapter(open_socket, adapter.timeout))
        adapter.close()
