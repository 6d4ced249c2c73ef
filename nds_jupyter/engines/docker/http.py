"""HTTP client of the Docker Engine API on the event loop, with kept-alive connections.

A call by the SDK costs two changes of threads and the layers of `requests`: a millisecond and more
of the server's CPU, which matters where many nodes are called together, or one again and again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from docker.utils import parse_host
from tornado.httputil import HTTPHeaders, HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream, UnsatisfiableReadError
from tornado.tcpclient import TCPClient

from nds_jupyter.engines.base import BytesLike
from nds_jupyter.engines.docker.engine_address import EngineAddress
from nds_jupyter.engines.docker.http_body import READ_SIZE, ChunkDecoder
from nds_jupyter.engines.docker.sdk_clients import SdkClients
from nds_jupyter.engines.docker.transports import SSH_SCHEME
from nds_jupyter.errors import NdsError

MAX_IDLE = 4
"""Connections that are kept for the next request."""

MAX_HEAD = 64 * 1024
"""Bytes of a response's head."""

_UNIX_SCHEME = "http+unix://"
_HEADERS = "Host: docker\r\nAccept-Encoding: identity\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    """Response of an engine.

    Parameters
    ----------
    keep_alive
        Whether the connection can carry the next request.
    """

    status: int
    content: bytes
    keep_alive: bool

    @property
    def content_if_ok(self) -> bytes | None:
        """The content of a success; None of anything else."""
        return self.content if self.status == HTTPStatus.OK else None


class EngineHttpClient:
    """HTTP client of one engine, with a pool of connections.

    Parameters
    ----------
    clients
        Know the engine's address, and the version of its API once one was made.
    deadline
        Seconds for a request.
    """

    def __init__(self, clients: SdkClients, deadline: float) -> None:
        self._clients = clients
        self._deadline = deadline
        self._idle: list[IOStream] = []
        self._closed = False

    async def get(self, path: str, params: Mapping[str, str]) -> bytes | None:
        """Return the content of a response.

        Parameters
        ----------
        path
            Of the Engine API, without its version.

        Returns
        -------
        bytes or None
            None where the SDK must make the call: the API's version is not known yet, or the
            transport is not supported here; or the response is an error, which the SDK translates.

        Raises
        ------
        TimeoutError
            If the engine has not answered in time.
        """
        version = self._clients.version
        if version is None:
            return None
        target = f"/v{version}{path}" + (f"?{urlencode(params)}" if params else "")
        async with asyncio.timeout(self._deadline):
            return await self._request_with_retries(target)

    async def _request_with_retries(self, target: str) -> bytes | None:
        # The engine may have closed the idle ones; then a new connection is made.
        while (idle := self._pop_idle()) is not None:
            if (response := await self._request(idle, target)) is not None:
                return response.content_if_ok
        try:
            connection = await _connect(self._clients.address())
        except (OSError, NdsError):
            return None
        if connection is None or (response := await self._request(connection, target)) is None:
            return None
        return response.content_if_ok

    def _pop_idle(self) -> IOStream | None:
        while self._idle:
            if not (stream := self._idle.pop()).closed():
                return stream
        return None

    async def _request(self, stream: IOStream, target: str) -> _Response | None:
        """Send a request on a connection; None if the response does not come, or not whole."""
        try:
            response = await _exchange(stream, target)
        except (OSError, HTTPInputError, UnsatisfiableReadError, ValueError):
            stream.close()
            return None
        except BaseException:
            # The next request must not get the response to this one.
            stream.close()
            raise
        if response.keep_alive and len(self._idle) < MAX_IDLE and not self._closed:
            self._idle.append(stream)
        else:
            stream.close()
        return response

    def close(self) -> None:
        """Close the connections; those in use when their responses have come."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


async def _exchange(stream: IOStream, target: str) -> _Response:
    await stream.write(f"GET {target} HTTP/1.1\r\n{_HEADERS}\r\n".encode("ascii"))
    head = (await stream.read_until(b"\r\n\r\n", MAX_HEAD)).decode("latin-1")
    first, _, rest = head.partition("\r\n")
    status, headers = parse_response_start_line(first).code, HTTPHeaders.parse(rest)
    keep_alive = headers.get("Connection", "").lower() != "close"
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        content, is_over = await _read_chunks(stream)
        return _Response(status=status, content=content, keep_alive=keep_alive and is_over)
    if "Content-Length" in headers:
        content = await stream.read_bytes(int(headers["Content-Length"]))
        return _Response(status=status, content=content, keep_alive=keep_alive)
    return _Response(status=status, content=await stream.read_until_close(), keep_alive=False)


async def _read_chunks(stream: IOStream) -> tuple[bytes, bool]:
    """Read a chunked body in bulk: Tornado reads one chunk at a time, and each line is one.

    Returns
    -------
    tuple
        The body, and whether nothing more of it can come.
    """
    decoder = ChunkDecoder()
    parts: list[BytesLike] = []
    end = b""
    while not decoder.ended:
        data = await stream.read_bytes(READ_SIZE, partial=True)
        parts += decoder.feed(data)
        end = (end + data)[-len(_LAST_CHUNK) :]
    return b"".join(parts), end == _LAST_CHUNK


async def _connect(address: EngineAddress) -> IOStream | None:
    """Connect to an engine by a Unix socket or TLS; None for any other transport."""
    if (address.url or "").startswith(SSH_SCHEME):
        return None
    url = str(parse_host(address.url, tls=bool(address.tls)))
    if url.startswith(_UNIX_SCHEME):
        stream = IOStream(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            return await stream.connect(url.removeprefix(_UNIX_SCHEME))
        except BaseException:
            # The request may have been cancelled meanwhile.
            stream.close()
            raise
    context = _tls_context(address.tls)
    parts = urlsplit(url)
    if context is None or not parts.hostname:
        return None
    return await TCPClient().connect(parts.hostname, parts.port or 443, ssl_options=context)


def _tls_context(tls: Any) -> ssl.SSLContext | None:
    """Convert the TLS configuration of the SDK; None where the SDK must connect.

    Without TLS it may use a proxy that the environment names.
    """
    if not tls or tls.verify is not True:
        return None
    context = ssl.create_default_context(cafile=tls.ca_cert)
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context
