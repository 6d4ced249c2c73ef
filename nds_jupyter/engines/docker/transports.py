"""Transports of the Docker SDK over sockets that are opened here: Unix sockets, and `ssh`.

`UnixHTTPConnection.connect` of the SDK drops the socket that failed to connect, to be closed
whenever it is collected: with an engine that is down and retried for hours, that is a leak.

By ssh, `docker system dial-stdio` at the other end leads to the engine's socket, as for Docker's
own command line. The SDK's way there needs paramiko even where it starts `ssh`, starts one for each
call, reads without a time limit and leaves what `ssh` says to the server's terminal; here `ssh` has
one end of a pair of sockets, and everything that works on a socket works on the other.
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

SCHEME = "ssh://"
SSH_BASE = "http+docker://ssh"
UNIX_BASE = "http+docker://"

OpenSocket = Callable[[Any], socket.socket]
"""Opens a connection to an engine, given the seconds for each of its steps; None for no end."""

SEND_BUFFER = 2**20
"""Bytes that the kernel takes before the engine reads them, so that both sides work at one time.

The kernel gives less where its own limit is lower.
"""

CONNECT_SECONDS = 10
ALIVE_SECONDS = 15
"""Seconds of silence after which `ssh` asks whether the other end is there; three times, then it
ends."""

SAYS_WHY = 2.0
"""Seconds that `ssh` gets to end and say why, after it has closed the connection."""

LONGEST_WORDS = 300

_MEANINGS = (
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


class SshFailed(OSError):
    """`ssh` ended before the engine had answered; the message says why."""


def ssh_command(url: str) -> tuple[str, ...]:
    """Return what is run for ``ssh://[user@]host[:port][/path/of/docker.sock]``.

    Raises
    ------
    SshFailed
        If the URL is none, or holds a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise SshFailed(f"{url} is no URL of the form ssh://user@host:port") from exc
    if parts.password is not None:
        raise SshFailed("an ssh:// URL can't have a password: let the account log in by a key")
    if not host:
        raise SshFailed(f"{url} names no host")
    socket_path = parts.path.rstrip("/")
    leads_to = ("--host", f"unix://{socket_path}") if socket_path else ()
    remote = shlex.join(("docker", *leads_to, "system", "dial-stdio"))
    return (
        "ssh",
        # Nobody is there to type a password or to look at a host key.
        *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"),
        *("-o", f"ServerAliveInterval={ALIVE_SECONDS}", "-T"),
        *(("-l", parts.username) if parts.username else ()),
        *(("-p", str(port)) if port else ()),
        *("--", host, remote),
    )


def meaning(said: str) -> str:
    """Return in one line why a connection failed, from what `ssh` has said."""
    for words, meant in _MEANINGS:
        if words in said:
            return meant
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:LONGEST_WORDS].rstrip(".") if lines else "ssh ended without a word"


class _SshSocket(socket.socket):
    """The socket whose other end `ssh` has for its input and output."""

    def __init__(self, command: tuple[str, ...]) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        try:
            with theirs:
                self._child = subprocess.Popen(  # noqa: S603 - no shell; the URL is the administrator's
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._said,
                    # An interrupt at the server's terminal is not meant for it.
                    start_new_session=True,
                )
        except OSError as exc:
            self._said.close()
            super()._real_close()  # type: ignore[misc]
            raise SshFailed(f"the ssh program can't be run: {exc}") from exc

    def has_ended(self) -> bool:
        """Wait for the answer's first byte; True if `ssh` ends instead."""
        try:
            return not self.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True

    def why(self) -> str:
        """Return what `ssh` says of its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(SAYS_WHY)
        self._said.seek(0)
        return meaning(self._said.read().decode(errors="replace"))

    def _real_close(self, *arguments: Any) -> None:
        super()._real_close(*arguments)  # type: ignore[misc]
        self._child.terminate()
        try:
            self._child.wait(SAYS_WHY)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._said.close()


def _open_ssh(url: str, timeout: float | None) -> socket.socket:
    made = _SshSocket(ssh_command(url))
    made.settimeout(timeout)
    return made


def _open_unix(path: str, timeout: float | None) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


class _SocketConnection(HTTPConnection):
    """A connection of urllib3 over a socket that a function opens, given a timeout."""

    def __init__(self, open_socket: OpenSocket, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._open_socket = open_socket

    def connect(self) -> None:
        self.sock = self._open_socket(self.timeout)

    def getresponse(self) -> Any:
        if isinstance(self.sock, _SshSocket):
            self.sock.settimeout(self.timeout)
            if self.sock.has_ended():
                raise SshFailed(self.sock.why())
        return super().getresponse()


class _SocketPool(HTTPConnectionPool):
    def __init__(self, open_socket: OpenSocket, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._open_socket = open_socket

    def _new_conn(self) -> Any:
        return _SocketConnection(self._open_socket, self.timeout.connect_timeout)


class _SocketAdapter(BaseHTTPAdapter):  # type: ignore[misc, unused-ignore]
    """An adapter of `requests` with one pool, whatever URL is asked."""

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
    """Let a client of the SDK reach its engine by `ssh`, wherever it would go by itself."""
    client.mount(SSH_BASE, _SocketAdapter(partial(_open_ssh, url), timeout))
    client.base_url = SSH_BASE


def mount_unix_socket(client: Any) -> None:
    """Let a client of a Unix socket connect by our own means; others are left alone."""
    theirs = client.adapters.get(UNIX_BASE)
    if isinstance(theirs, UnixHTTPAdapter):
        open_socket = partial(_open_unix, theirs.socket_path)
        client.mount(UNIX_BASE, _SocketAdapter(open_socket, theirs.timeout))
        theirs.close()
