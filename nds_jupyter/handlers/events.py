"""The WebSocket route `/events`, over which open pages get live updates."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.handlers.base_handler import NdsHandler, allowed
from nds_jupyter.live import Subscriber
from nds_jupyter.rest.queries import EventsQuery

LARGEST_FRAME = 64 * 1024
"""Bytes of a message from a page at most."""

PING_INTERVAL = 30.0
"""Seconds, where the server's configuration does not say."""

GOING_AWAY = 1001
"""The close code of a server that stops (RFC 6455, 7.4.1)."""


class EventsHandler(WebSocketMixin, WebSocketHandler, NdsHandler):
    """WebSocket of one page; `read` is enough to open it."""

    _subscriber: Subscriber | None = None
    _since: str | None = None
    _message_task: asyncio.Task[None] | None = None

    @property
    def max_message_size(self) -> int:
        """Bytes of a message from a page at most."""
        return LARGEST_FRAME

    @property
    def ping_interval(self) -> float:
        """Seconds between Tornado's pings, as `ServerApp.websocket_ping_interval` says."""
        return float(self.settings.get("websocket_ping_interval") or PING_INTERVAL)

    @property
    def ping_timeout(self) -> float:
        """Seconds for the answer to a ping."""
        return float(self.settings.get("websocket_ping_timeout") or self.ping_interval)

    async def prepare(self, **_kwargs: Any) -> None:
        """Prepare as for every route, but leave the check of the origin to the handshake."""
        await JupyterHandler.prepare(self, _redirect_to_login=False)

    @allowed("read")
    async def get(self) -> None:
        """Upgrade to a WebSocket; Tornado checks the origin by `check_origin`."""
        self._since = self.decode_query(EventsQuery).since
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise InvalidRequest("/events: open it as a WebSocket; docs/events.md says how.")
        self.services.broadcaster.refuse_if_full()
        await super().get()

    def finish(self, *args: Any, **kwargs: Any) -> asyncio.Future[None]:
        """Send no content type with the upgrade, which has no body."""
        if self.get_status() == HTTPStatus.SWITCHING_PROTOCOLS:
            return RequestHandler.finish(self, *args, **kwargs)
        return super().finish(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Subscribe the page, and start to send its messages."""
        # Tornado pings; the mixin would do it once more.
        WebSocketHandler.open(self, *args, **kwargs)
        self._subscriber = self.services.broadcaster.subscribe(self.owner, self._since)
        self._message_task = asyncio.create_task(self._send_messages(self._subscriber))

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message of the page to the broadcaster."""
        if self._subscriber is not None:
            await self.services.broadcaster.handle_message(self._subscriber, message)

    def on_close(self) -> None:
        """Close the subscriber; the task unsubscribes it."""
        if self._subscriber is not None:
            self._subscriber.close()

    async def _send_messages(self, subscriber: Subscriber) -> None:
        """Send one message after another, with back-pressure."""
        try:
            async with contextlib.aclosing(subscriber.messages()) as messages:
                with contextlib.suppress(WebSocketClosedError):
                    async for message in messages:
                        await self.write_message(message)
            self.close(GOING_AWAY, "The server stops.")
        except Exception:
            self.log.exception("A page of %s can't be told.", subscriber.owner)
            self.close(1011)
        finally:
            await self.services.broadcaster.unsubscribe(subscriber)
