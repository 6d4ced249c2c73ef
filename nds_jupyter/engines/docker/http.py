"""HTTP client of the Docker Engine API on the event loop, with kept-alive connections.

A call by the SDK costs two changes of threads and the layers of `requests`: a millisecond and more
of the server's CPU, which matters where many nodes are asked together, or one again and again.
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
from nds_jupyter.engines.docker.addresses import EngineAddress
from nds_jupyter.engines.docker.http_body import READ, ChunkDecoder
from nds_jupyter.engines.docker.sdk_clients import SdkClients
from nds_jupyter.engines.docker.transports import SCHEME as BY_SSH
from nds_jupyter.errors import NdsError

MOST_KEPT = 4
"""Connections that wait for the next question."""

MOST_HEAD = 64 * 1024
"""Bytes of an answer's headers."""

_UNIX = "http+unix://"
_HEADERS = "Host: docker\r\nAccept-Encoding: identity\r\n"
_LAST = b"0\r\n\r\n"


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine said.

    Parameters
    ----------
    lasts
        Whether the connection can carry the next question.
    """

    status: int
    content: bytes
    lasts: bool

    @property
    def wanted(self) -> bytes | None:
        """What was asked for; None where the engine says something else."""
        return self.content if self.status == HTTPStatus.OK else None


class EngineHttpClient:
    """Asks one engine.

    Parameters
    ----------
    clients
        Know where the engine is, and which version of the API it speaks once one was made.
    deadline
        Seconds for an answer.
    """

    def __init__(self, clients: SdkClients, deadline: float) -> None:
        self._clients = clients
        self._deadline = deadline
        self._kept: list[IOStream] = []
        self._closed = False

    async def get(self, path: str, params: Mapping[str, str]) -> bytes | None:
        """Return the content that an engine answers with.

        Parameters
        ----------
        path
            Of the Engine API, without its version.

        Returns
        -------
        bytes or None
            None where it must be asked by the SDK: the way there is not known yet, or none for
            this; or the answer is an error, which the SDK has words for.

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
            return await self._answer(target)

    async def _answer(self, target: str) -> bytes | None:
        # The engine may have ended those that are kept; then one is made anew.
        while (kept := self._take()) is not None:
            if (answer := await self._ask(kept, target)) is not None:
                return answer.wanted
        try:
            made = await _connected(self._clients.address())
        except (OSError, NdsError):
            return None
        if made is None or (answer := await self._ask(made, target)) is None:
            return None
        return answer.wanted

    def _take(self) -> IOStream | None:
        while self._kept:
            if not (stream := self._kept.pop()).closed():
                return stream
        return None

    async def _ask(self, stream: IOStream, target: str) -> _Response | None:
        """Ask on a connection; None if the answer does not come, or not as a whole."""
        try:
            answer = await _exchange(stream, target)
        except (OSError, HTTPInputError, UnsatisfiableReadError, ValueError):
            stream.close()
            return None
        except BaseException:
            # Whoever asks next must not get this one's answer.
            stream.close()
            raise
        if answer.lasts and len(self._kept) < MOST_KEPT and not self._closed:
            self._kept.append(stream)
        else:
            stream.close()
        return answer

    def close(self) -> None:
        """Close the connections; those whose answers are under way when these have come."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()


async def _exchange(stream: IOStream, target: str) -> _Response:
    await stream.write(f"GET {target} HTTP/1.1\r\n{_HEADERS}\r\n".encode("ascii"))
    head = (await stream.read_until(b"\r\n\r\n", MOST_HEAD)).decode("latin-1")
    first, _, rest = head.partition("\r\n")
    status, headers = parse_response_start_line(first).code, HTTPHeaders.parse(rest)
    lasts = headers.get("Connection", "").lower() != "close"
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        content, is_over = await _chunks(stream)
        return _Response(status=status, content=content, lasts=lasts and is_over)
    if "Content-Length" in headers:
        content = await stream.read_bytes(int(headers["Content-Length"]))
        return _Response(status=status, content=content, lasts=lasts)
    return _Response(status=status, content=await stream.read_until_close(), lasts=False)


async def _chunks(stream: IOStream) -> tuple[bytes, bool]:
    """Read a body in chunks, which Tornado takes apart one by one, and the engine makes of a line.

    Returns
    -------
    tuple
        The body, and whether nothing more of it can come.
    """
    dechunker = ChunkDecoder()
    parts: list[BytesLike] = []
    end = b""
    while not dechunker.ended:
        data = await stream.read_bytes(READ, partial=True)
        parts += dechunker.feed(data)
        end = (end + data)[-len(_LAST) :]
    return b"".join(parts), end == _LAST


async def _connected(address: EngineAddress) -> IOStream | None:
    """Return a connection to an engine, by a Unix socket or TLS; None for any other way."""
    if (address.url or "").startswith(BY_SSH):
        return None
    url = str(parse_host(address.url, tls=bool(address.tls)))
    if url.startswith(_UNIX):
        stream = IOStream(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            return await stream.connect(url.removeprefix(_UNIX))
        except BaseException:
            # Who asked may have given up meanwhile.
            stream.close()
            raise
    context = _context(address.tls)
    parts = urlsplit(url)
    if context is None or not parts.hostname:
        return None
    return await TCPClient().connect(parts.hostname, parts.port or 443, ssl_options=context)


def _context(tls: Any) -> ssl.SSLContext | None:
    """Return what the SDK's TLS configuration means; None where the SDK must say.

    Without TLS it may go by a proxy that the environment names.
    """
    if not tls or tls.verify is not True:
        return None
    context = ssl.create_default_context(cafile=tls.ca_cert)
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context
