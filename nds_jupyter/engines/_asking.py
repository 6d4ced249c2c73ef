"""Asks an engine from the event loop itself, over connections that are kept.

A call by the SDK costs two changes of threads and the layers of `requests`: a millisecond and more
of the server's CPU, which matters where many nodes are asked together, or one again and again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from docker.utils import parse_host
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient

from nds_jupyter.engines._addresses import Address
from nds_jupyter.engines._client import Clients
from nds_jupyter.engines._ssh import SCHEME as BY_SSH
from nds_jupyter.errors import NdsError

MOST_KEPT = 4
"""Connections that wait for the next question."""

MOST_BYTES = 256 * 2**20
"""Of an answer: containers by the hundred thousand."""

_UNIX = "http+unix://"
_HEADERS = {"Host": "docker", "Accept-Encoding": "identity"}


class Asking:
    """Asks one engine.

    Parameters
    ----------
    clients
        Know where the engine is, and which version of the API it speaks once one was made.
    deadline
        Seconds for an answer.
    """

    def __init__(self, clients: Clients, deadline: float) -> None:
        self._clients = clients
        self._deadline = deadline
        self._kept: list[IOStream] = []
        self._loop: asyncio.AbstractEventLoop | None = None

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
            if (answer := await self._ask(kept, target)).is_whole:
                return answer.content
        try:
            made = await _connected(self._clients.address())
        except (OSError, NdsError):
            return None
        return None if made is None else (await self._ask(made, target)).content

    def _take(self) -> IOStream | None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.close()
            self._loop = loop
        while self._kept:
            if not (stream := self._kept.pop()).closed():
                return stream
        return None

    async def _ask(self, stream: IOStream, target: str) -> _Answer:
        answer = _Answer()
        try:
            await _exchange(stream, target, answer)
        except (OSError, HTTPInputError):
            stream.close()
        except BaseException:
            # Whoever asks next must not get this one's answer.
            stream.close()
            raise
        if not answer.is_whole or len(self._kept) >= MOST_KEPT:
            stream.close()
        elif not stream.closed():
            self._kept.append(stream)
        return answer

    def close(self) -> None:
        """Close the connections."""
        while self._kept:
            self._kept.pop().close()


class _Answer(HTTPMessageDelegate):
    def __init__(self) -> None:
        self._status = 0
        self.is_whole = False
        self._parts: list[bytes] = []

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        del headers
        self._status = cast(ResponseStartLine, start_line).code

    def data_received(self, chunk: bytes) -> None:
        self._parts.append(chunk)

    def finish(self) -> None:
        self.is_whole = True

    @property
    def content(self) -> bytes | None:
        """What was asked for; None where something else came, or less."""
        return b"".join(self._parts) if self.is_whole and self._status == HTTPStatus.OK else None


async def _exchange(stream: IOStream, target: str, answer: _Answer) -> None:
    parameters = HTTP1ConnectionParameters(max_body_size=MOST_BYTES)
    connection = HTTP1Connection(stream, is_client=True, params=parameters)
    sent = connection.write_headers(RequestStartLine("GET", target, ""), HTTPHeaders(_HEADERS))
    connection.finish()
    await sent
    await connection.read_response(answer)


async def _connected(address: Address) -> IOStream | None:
    """Return a connection to an engine, by a Unix socket or TLS; None for any other way."""
    if (address.url or "").startswith(BY_SSH):
        return None
    url = str(parse_host(address.url, tls=bool(address.tls)))
    if url.startswith(_UNIX):
        stream = IOStream(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        return await stream.connect(url.removeprefix(_UNIX))
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
