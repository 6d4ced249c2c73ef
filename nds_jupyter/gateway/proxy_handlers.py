"""Proxy handlers: check who asks, then forward the request to the upstream server."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

from jupyter_server.utils import url_path_join
from tornado import web
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler

from nds_jupyter.errors import GatewayUnavailable, InvalidRequest
from nds_jupyter.gateway.upstream import UpstreamResponse, UpstreamServer
from nds_jupyter.handlers import ROUTES, url_pattern
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.handlers.events import GOING_AWAY, EventsHandler
from nds_jupyter.handlers.request_bodies import BodyReceiver
from nds_jupyter.rest import routes

GATEWAY_KEY = "nds_gateway"
PREFIX_KEY = "nds_prefix"
MAX_MESSAGE_SIZE = 64 * 2**20
"""Bytes of a message to a page: a batch of lines, or a job."""


class ProxyHandler(NdsHandler):
    """Any route that is not one of those below."""

    @property
    def upstream(self) -> UpstreamServer:
        """The way to the other server."""
        gateway: UpstreamServer = self.settings[GATEWAY_KEY]
        return gateway

    @property
    def route(self) -> str:
        """The request's path below the prefix, as it stands in the URL."""
        # Counted, not compared: who asks may have encoded the base URL in another way.
        return "/" + "/".join(self.request.path.split("/")[self.public_path.count("/") + 1 :])

    @property
    def public_path(self) -> str:
        """The path of the routes, without a slash at its end."""
        return url_path_join(self.base_url, self.settings[PREFIX_KEY]).rstrip("/")

    @allowed("read")
    async def get(self) -> None:
        """Look at something."""
        await self.forward()

    @allowed("read")
    async def head(self) -> None:
        """Look at headers."""
        await self.forward()

    @allowed("write")
    async def post(self) -> None:
        """Change something."""
        await self.forward()

    @allowed("write")
    async def put(self) -> None:
        """Replace something."""
        await self.forward()

    @allowed("write")
    async def delete(self) -> None:
        """Remove something."""
        await self.forward()

    async def forward(self) -> None:
        """Answer what the other server answers."""
        self._send_task = asyncio.current_task()
        try:
            await self.send_response(await self.send_upstream(self.request.body))
        except asyncio.CancelledError:
            if not self._client_gone:
                raise

    async def send_upstream(self, body: bytes | AsyncIterator[bytes]) -> UpstreamResponse:
        """Ask the other server; what is returned has to be delivered or closed."""
        self.refuse_loop()
        request = self.request
        verb = request.method or "GET"
        return await self.upstream.send_request(
            verb, self.route, request.query, request.headers, body, self.public_path
        )

    def refuse_loop(self) -> None:
        """Refuse what a gateway sent: it would go round for ever."""
        if routes.FORWARDED_PREFIX in self.request.headers:
            raise GatewayUnavailable(
                "The server that is to run the jobs passes them on itself. Let NDS_URL, or "
                "c.NdsApp.gateway_url, name one that runs them."
            )

    async def send_response(self, answer: UpstreamResponse) -> None:
        """Send an answer of the other server, no faster than it is read."""
        try:
            self.set_status(answer.status)
            for name, value in answer.headers.items():
                self.set_header(name, value)
            await self.send_stream(answer.chunks(), early=True)
        finally:
            await answer.close()


class ProxyStopHandler(ProxyHandler):
    """The route that changes something by GET."""

    @allowed("write")
    async def get(self) -> None:
        """Stop a job; with a cookie alone Jupyter's XSRF check must pass."""
        self.refuse_cross_site_get()
        await self.forward()


class ProxyArchiveHandler(ProxyHandler):
    """The route that only looks, also by POST."""

    @allowed("read")
    async def post(self) -> None:
        """Get an archive."""
        await self.forward()


@web.stream_request_body
class ProxyDataHandler(BodyReceiver[UpstreamResponse], ProxyHandler):
    """Content of any size, passed on as it comes."""

    async def receive(self) -> UpstreamResponse:
        """Pass the body on."""
        return await self.send_upstream(self.body_blocks())

    async def respond_early(self, came: UpstreamResponse) -> None:
        """Answer what the other server said before it had the whole body."""
        await self.send_response(came)

    @allowed("write")
    async def put(self) -> None:
        """Answer an upload once it is in place."""
        await self.send_response(await self.wait_for_result())


class ProxyEventsHandler(ProxyHandler, EventsHandler):
    """One page; what it is told comes from the other server."""

    _upstream: WebSocketClientConnection | None = None

    @allowed("read")
    async def get(self) -> None:
        """Upgrade to a WebSocket, if the other server does."""
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise InvalidRequest("/events: open it as a WebSocket; docs/events.md says how.")
        self.refuse_loop()
        upstream = await self.upstream.open_websocket(
            self.route, self.request.query, self.public_path, MAX_MESSAGE_SIZE
        )
        self._upstream = upstream
        try:
            await WebSocketHandler.get(self)
        finally:
            if self.ws_connection is None:
                # The page's origin was refused.
                upstream.close()

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to tell the page."""
        WebSocketHandler.open(self, *args, **kwargs)
        if self._upstream is not None:
            self._message_task = asyncio.create_task(self._forward_messages(self._upstream))

    async def on_message(self, message: str | bytes) -> None:
        """Hand on what the page follows."""
        if self._upstream is not None:
            with contextlib.suppress(WebSocketClosedError):
                await self._upstream.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Leave the other server."""
        if self._upstream is not None:
            self._upstream.close()

    async def _forward_messages(self, upstream: WebSocketClientConnection) -> None:
        """Send one message after another, no faster than the page reads."""
        with contextlib.suppress(WebSocketClosedError):
            while (message := await upstream.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        self.close(upstream.close_code or GOING_AWAY, upstream.close_reason)


PROXY_HANDLERS: dict[str, type[NdsHandler]] = {
    routes.STOP: ProxyStopHandler,
    routes.ARCHIVE: ProxyArchiveHandler,
    routes.DATA: ProxyDataHandler,
    routes.FILE: ProxyDataHandler,
    routes.EVENTS: ProxyEventsHandler,
}
"""The routes that are passed on in a way of their own."""


def proxy_rules(prefix: str) -> list[tuple[str, type[NdsHandler]]]:
    """Return Tornado's rules for all routes of a server that forwards them to another one."""
    rules = []
    for template, _ in ROUTES:
        pattern = re.sub(r"\?P<\w+>", "?:", url_pattern(prefix, template))
        rules.append((pattern, PROXY_HANDLERS.get(template, ProxyHandler)))
    return rules
