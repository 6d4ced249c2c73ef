"""Client of the upstream server that runs the jobs of this one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from nds_jupyter.client.discovery import ServerAddress, find_server
from nds_jupyter.client.transport import KEEP_ALIVE_OPTIONS
from nds_jupyter.errors import Forbidden, GatewayUnavailable, TooBusy
from nds_jupyter.rest import routes

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT = 10.0

FORWARDED_REQUEST_HEADERS = frozenset(
    {
        "accept",
        "content-length",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "if-range",
        "range",
    }
)
FORWARDED_RESPONSE_HEADERS = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "x-accel-buffering",
        "x-total-count",
    }
)
"""Headers that are forwarded; cookies and credentials are not."""


class UpstreamResponse:
    """Response of the upstream server: status and headers, and the body as a stream.

    Parameters
    ----------
    unavailable
        Translates an error of the connection.
    """

    def __init__(
        self, response: httpx.Response, unavailable: Callable[[Exception], GatewayUnavailable]
    ) -> None:
        self._response = response
        self._unavailable = unavailable
        self.status = response.status_code
        self.headers = {
            name: value
            for name, value in response.headers.items()
            if name in FORWARDED_RESPONSE_HEADERS
        }

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes."""
        import httpx

        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except httpx.TransportError as exc:
            raise self._unavailable(exc) from exc

    async def close(self) -> None:
        """Free the connection, also in the middle of the body."""
        await self._response.aclose()


class UpstreamServer:
    """HTTP and WebSocket client of the upstream server, with this server's token for it."""

    def __init__(self, address: ServerAddress) -> None:
        # Not before it is needed: most servers run their jobs themselves.
        import httpx

        self.address = address
        transport = httpx.AsyncHTTPTransport(
            socket_options=KEEP_ALIVE_OPTIONS, limits=httpx.Limits(max_connections=None)
        )
        # A followed log may be silent for hours: only the network can tell that nobody is there.
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
        self._http = httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False)

    @classmethod
    def from_url(cls, url: str, token: str) -> UpstreamServer:
        """Return a client for a base URL; its token is discovered where none is given."""
        return cls(find_server(url, token))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send_request(
        self,
        verb: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes],
        public_path: str,
    ) -> UpstreamResponse:
        """Forward a request; the response must be closed.

        Parameters
        ----------
        path
            Of the route, as it stands in a URL.
        query
            As it stands in a URL; a token in it is removed.
        public_path
            The path of this server's routes, that URLs in the response begin with.

        Raises
        ------
        GatewayUnavailable
            If it does not answer.
        """
        import httpx

        forwarded = {
            name: value
            for name, value in headers.items()
            if name.lower() in FORWARDED_REQUEST_HEADERS
        }
        forwarded |= self._own_headers(public_path)
        url = self._url(path, query)
        request = self._http.build_request(verb, url, headers=forwarded, content=body)
        try:
            answer = UpstreamResponse(
                await self._http.send(request, stream=True), self._unavailable
            )
        except httpx.TransportError as exc:
            raise self._unavailable(exc) from exc
        self._rewrite_location(answer.headers, public_path)
        return answer

    def _rewrite_location(self, headers: dict[str, str], public_path: str) -> None:
        """Rewrite a `Location` to this server's routes."""
        there = urlsplit(self.address.route("")).path
        if headers.get("location", "").startswith(f"{there}/"):
            headers["location"] = public_path + headers["location"].removeprefix(there)

    async def open_websocket(
        self, path: str, query: str, public_path: str, max_message_size: int
    ) -> WebSocketClientConnection:
        """Open a WebSocket at the upstream server.

        Parameters
        ----------
        public_path
            The path of this server's routes.
        max_message_size
            Bytes of a message at most.

        Raises
        ------
        GatewayUnavailable
            If it does not answer, or not as it should.
        TooBusy
            If it accepts no more WebSockets.
        """
        scheme, *rest = urlsplit(self._url(path, query))
        url = urlunsplit(("wss" if scheme == "https" else "ws", *rest))
        headers = self._own_headers(public_path)
        request = HTTPRequest(url, headers=headers, connect_timeout=CONNECT_TIMEOUT)
        try:
            return await websocket_connect(
                request, max_message_size=max_message_size, ping_interval=30
            )
        except HTTPClientError as exc:
            raise self._handshake_error(exc) from exc
        except (OSError, TimeoutError) as exc:
            raise self._unavailable(exc) from exc

    def _url(self, path: str, query: str) -> str:
        # Latin-1 takes every byte as it is.
        fields = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
        forwarded_query = urlencode(
            [each for each in fields if each[0] != "token"], encoding="latin-1"
        )
        return f"{self.address.route(path)}?{forwarded_query}".rstrip("?")

    def _own_headers(self, public_path: str) -> dict[str, str]:
        token = {"Authorization": f"token {self.address.token}"} if self.address.token else {}
        # The body is forwarded as it is, and this side need not understand its encoding.
        return {"Accept-Encoding": "identity", routes.FORWARDED_PREFIX: public_path, **token}

    def _unavailable(self, exc: Exception) -> GatewayUnavailable:
        return GatewayUnavailable(
            f"The server that runs the jobs, {self.address.url}, does not answer: "
            f"{exc or type(exc).__name__}. Is it running?"
        )

    def _handshake_error(self, exc: HTTPClientError) -> GatewayUnavailable | TooBusy | Forbidden:
        if exc.code == 503:
            return TooBusy("The server that runs the jobs takes no more pages now.", retry_after=5)
        if exc.code in {401, 403}:
            return Forbidden(
                f"The server that runs the jobs, {self.address.url}, does not accept the token of "
                "this one. NDS_TOKEN, c.NdsApp.gateway_token or the Hub's roles say which it is."
            )
        return self._unavailable(exc)
