"""Proxy handlers: authorize a request, then forward it to the upstream server."""

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
from nds_jupyter.handlers.base_handler import NdsHandler, allowed
from nds_jupyter.handlers.events import GOING_AWAY, EventsHandler
from nds_jupyter.handlers.request_bodies import BodyReceiver
from nds_jupyter.rest import routes

GATEWAY_KEY = "nds_gateway"
PREFIX_KEY = "nds_prefix"
MAX_MESSAGE_SIZE = 64 * 2**20
"""Bytes of a WebSocket message: a batch of lines, or a job."""


class ProxyHandler(NdsHandler):
    """Forwards any route that has no handler of its own below."""

    @property
    def upstream(self) -> UpstreamServer:
        """The upstream server."""
        gateway: UpstreamServer = self.settings[GATEWAY_KEY]
        return gateway

    @property
    def route(self) -> str:
        """The request's path below the prefix, as it stands in the URL."""
        # Counted, not compared: a client may have encoded the base URL in another way.
        return "/" + "/".join(self.request.path.split("/")[self.public_path.count("/") + 1 :])

    @property
    def public_path(self) -> str:
        """The path of the routes, without a slash at its end."""
        return url_path_join(self.base_url, self.settings[PREFIX_KEY]).rstrip("/")

    @allowed("read")
    async def get(self) -> None:
        """Forward a read."""
        await self.forward()

    @allowed("read")
    async def head(self) -> None:
        """Forward a read of headers."""
        await self.forward()

    @allowed("write")
    async def post(self) -> None:
        """Forward a change."""
        await self.forward()

    @allowed("write")
    async def put(self) -> None:
        """Forward a replacement."""
        await self.forward()

    @allowed("write")
    async def delete(self) -> None:
        """Forward a removal."""
        await self.forward()

    async def forward(self) -> None:
        """Forward the request, and send the upstream response back."""
        self._send_task = asyncio.current_task()
        try:
            await self.send_response(await self.send_upstream(self.request.body))
        except asyncio.CancelledError:
            if not self._client_gone:
                raise

    async def send_upstream(self, body: bytes | AsyncIterator[bytes]) -> UpstreamResponse:
        """Send the request upstream; the response must be sent or closed."""
        self.refuse_loop()
        request = self.request
        verb = request.method or "GET"
        return await self.upstream.send_request(
            verb, self.route, request.query, request.headers, body, self.public_path
        )

    def refuse_loop(self) -> None:
        """Refuse a request that another gateway has forwarded: it would loop for ever."""
        if routes.FORWARDED_PREFIX in self.request.headers:
            raise GatewayUnavailable(
                "The server that is to run the jobs passes them on itself. Let NDS_URL, or "
                "c.NdsApp.gateway_url, name one that runs them."
            )

    async def send_response(self, answer: UpstreamResponse) -> None:
        """Send an upstream response to the client, with back-pressure."""
        try:
            self.set_status(answer.status)
            for name, value in answer.headers.items():
                self.set_header(name, value)
            await self.send_stream(answer.chunks(), early=True)
        finally:
            await answer.close()


class ProxyStopHandler(ProxyHandler):
    """Forwards `/stop`, the route that changes something by GET."""

    @allowed("write")
    async def get(self) -> None:
        """Stop a job; with a cookie alone Jupyter's XSRF check must pass."""
        self.refuse_cross_site_get()
        await self.forward()


class ProxyArchiveHandler(ProxyHandler):
    """Forwards `/archive`, the route that only reads, also by POST."""

    @allowed("read")
    async def post(self) -> None:
        """Get an archive."""
        await self.forward()


@web.stream_request_body
class ProxyDataHandler(BodyReceiver[UpstreamResponse], ProxyHandler):
    """Forwards uploads of any size as they arrive."""

    async def receive(self) -> UpstreamResponse:
        """Forward the body."""
        return await self.send_upstream(self.body_blocks())

    async def respond_early(self, result: UpstreamResponse) -> None:
        """Send the response that came before upstream had the whole body."""
        await self.send_response(result)

    @allowed("write")
    async def put(self) -> None:
        """Send the response once upstream has the whole body."""
        await self.send_response(await self.wait_for_result())


class ProxyEventsHandler(ProxyHandler, EventsHandler):
    """Forwards the messages of a WebSocket in both directions."""

    _upstream: WebSocketClientConnection | None = None

    @allowed("read")
    async def get(self) -> None:
        """Upgrade to a WebSocket, if upstream does."""
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
        """Start to forward messages."""
        WebSocketHandler.open(self, *args, **kwargs)
        if self._upstream is not None:
            self._message_task = asyncio.create_task(self._forward_messages(self._upstream))

    async def on_message(self, message: str | bytes) -> None:
        """Forward a message of the page."""
        if self._upstream is not None:
            with contextlib.suppress(WebSocketClosedError):
                await self._upstream.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Close the upstream WebSocket."""
        if self._upstream is not None:
            self._upstream.close()

    async def _forward_messages(self, upstream: WebSocketClientConnection) -> None:
        """Send the upstream messages to the page, with back-pressure."""
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
"""The routes that need a proxy handler of their own."""


def proxy_rules(prefix: str) -> list[tuple[str, type[NdsHandler]]]:
    """Return Tornado's rules for all routes of a server that forwards them to another one."""
    rules = []
    for template, _ in ROUTES:
        pattern = re.sub(r"\?P<\w+>", "?:", url_pattern(prefix, template))
        rules.append((pattern, PROXY_HANDLERS.get(template, ProxyHandler)))
    return rules
