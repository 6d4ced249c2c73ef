"""The SDK's connections to a Unix socket, which leave a socket open when nobody answers.

`UnixHTTPConnection.connect` of the SDK drops the socket that failed to connect, to be closed
whenever it is collected: with an engine that is down and retried for hours, that is a leak.
"""

from __future__ import annotations

import socket
from typing import Any

from docker.transport.unixconn import (
    UnixHTTPAdapter,
    UnixHTTPConnection,
    UnixHTTPConnectionPool,
)

BASE = "http+docker://"

SEND_BUFFER = 2**20
"""Bytes that the kernel takes before the engine reads them, so that both sides work at one time.

The kernel gives less where its own limit is lower.
"""


class _Connection(UnixHTTPConnection):  # type: ignore[misc, unused-ignore]
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


class _Pool(UnixHTTPConnectionPool):  # type: ignore[misc, unused-ignore]
    def _new_conn(self) -> Any:
        timeout: Any = self.timeout
        return _Connection(self.base_url, self.socket_path, timeout)


class _Adapter(UnixHTTPAdapter):  # type: ignore[misc, unused-ignore]
    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        del proxies
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
            return pool


def close_failed_sockets(client: Any) -> None:
    """Make a client of a Unix socket close what fails to connect; others are left alone."""
    theirs = client.adapters.get(BASE)
    if isinstance(theirs, UnixHTTPAdapter):
        client.mount(
            BASE,
            _Adapter(
                f"http+unix://{theirs.socket_path}",
                theirs.timeout,
                max_pool_size=theirs.max_pool_size,
            ),
        )
        theirs.close()
