"""Transports of the Docker SDK over Unix sockets and the `ssh` program.

`docker system dial-stdio` at the other end leads to the engine's socket, as for Docker's own
command line. The SDK's way there needs paramiko even where it starts `ssh`, reads without a time
limit and leaves what `ssh` says to the server's terminal; here `ssh` has one end of a pair of
sockets, and everything that works on a socket works on the other.

`UnixHTTPConnection.connect` of the SDK drops the socket that failed to connect, to be closed
whenever it is collected: with an engine that is down and retried for hours, that is a leak.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import tempfile
from typing import Any
from urllib.parse import urlsplit

from docker.transport.basehttpadapter import BaseHTTPAdapter
from docker.transport.unixconn import (
    UnixHTTPAdapter,
    UnixHTTPConnection,
    UnixHTTPConnectionPool,
)
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

SCHEME = "ssh://"
SSH_BASE = "http+docker://ssh"

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


class _SshConnection(HTTPConnection):
    def __init__(self, url: str, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._url = url

    def connect(self) -> None:
        self.sock = _SshSocket(ssh_command(self._url))
        self.sock.settimeout(self.timeout)

    def getresponse(self) -> Any:
        if isinstance(self.sock, _SshSocket):
            self.sock.settimeout(self.timeout)
            if self.sock.has_ended():
                raise SshFailed(self.sock.why())
        return super().getresponse()


class _SshPool(HTTPConnectionPool):
    def __init__(self, url: str, timeout: Any) -> None:
        super().__init__("localhost", timeout=timeout)
        self._url = url

    def _new_conn(self) -> Any:
        return _SshConnection(self._url, self.timeout.connect_timeout)


class _SshAdapter(BaseHTTPAdapter):  # type: ignore[misc, unused-ignore]
    def __init__(self, url: str, timeout: Any) -> None:
        super().__init__()
        self._pool = _SshPool(url, timeout)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        del url, proxies
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> Any:
        del proxies
        return request.path_url

    def close(self) -> None:
        self._pool.close()
        super().close()


def lead_by_ssh(client: Any, url: str, timeout: Any) -> None:
    """Let a client of the SDK reach its engine by `ssh`, wherever it would go by itself."""
    client.mount(SSH_BASE, _SshAdapter(url, timeout))
    client.base_url = SSH_BASE


UNIX_BASE = "http+docker://"

SEND_BUFFER = 2**20
"""Bytes that the kernel takes before the engine reads them, so that both sides work at one time.

The kernel gives less where its own limit is lower.
"""


class _UnixConnection(UnixHTTPConnection):  # type: ignore[misc, unused-ignore]
    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(self.timeout)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            made.connect(self.unix_socket)
        except BaseException:
            made.close()
            raise
        self.sock = made


class _UnixPool(UnixHTTPConnectionPool):  # type: ignore[misc, unused-ignore]
    def _new_conn(self) -> Any:
        timeout: Any = self.timeout
        return _UnixConnection(self.base_url, self.socket_path, timeout)


class _UnixAdapter(UnixHTTPAdapter):  # type: ignore[misc, unused-ignore]
    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        del proxies
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = _UnixPool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
            return pool


def close_failed_sockets(client: Any) -> None:
    """Make a client of a Unix socket close what fails to connect; others are left alone."""
    theirs = client.adapters.get(UNIX_BASE)
    if isinstance(theirs, UnixHTTPAdapter):
        client.mount(
            UNIX_BASE,
            _UnixAdapter(
                f"http+unix://{theirs.socket_path}",
                theirs.timeout,
                max_pool_size=theirs.max_pool_size,
            ),
        )
        theirs.close()
