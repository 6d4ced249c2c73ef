"""Handlers that take a body of any size as it comes, and give it up when its sender goes away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any, Generic, TypeVar

from tornado.httputil import HTTPServerRequest

from nds_jupyter.errors import NdsError
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.handlers.bodies import DRAIN, Body

T = TypeVar("T")

UNBOUNDED = 2**63
"""Bytes of a body: Jupyter's own bound is for bodies that are held in memory."""


class Receiving(NdsHandler, Generic[T]):
    """A route whose PUT takes its body in `receive` while it comes.

    Its class is decorated with `tornado.web.stream_request_body`; Tornado then calls `put` only at
    the end of the body.
    """

    _receiving: asyncio.Task[T] | None = None
    _incoming: Body

    async def receive(self) -> T:
        """Take the body, and return what came of it."""
        raise NotImplementedError

    async def answer_early(self, came: T) -> None:
        """Answer before the end of a body of which no more is wanted; by itself, nothing."""

    def body(self) -> AsyncGenerator[bytes, None]:
        """Return the body in blocks."""
        return self._incoming.blocks()

    async def received(self) -> T:
        """Return what came of the body, at its end."""
        if self._receiving is None:
            raise RuntimeError("a body that nobody began to take")
        await self._incoming.end(self._receiving)
        return await self._receiving

    async def prepare(self, **options: Any) -> None:
        """Begin to take the body of a PUT."""
        await super().prepare(**options)
        if self.request.method == "PUT" and not self._finished:
            lift_bound(self.request)
            await self._begin()

    @allowed("write")
    async def _begin(self) -> None:
        self._incoming = Body()
        self._receiving = asyncio.create_task(self.receive())

    async def data_received(self, chunk: bytes) -> None:
        """Hand a piece of the body on."""
        if self._receiving is None or self._finished:
            return
        await self._incoming.feed(chunk, self._receiving)
        if self._incoming.dropped > DRAIN:
            try:
                await self.answer_early(await self._receiving)
            except NdsError:
                self.send_error(exc_info=sys.exc_info())

    def on_connection_close(self) -> None:
        """Give a body up whose sender went away."""
        super().on_connection_close()
        self._give_up()

    def on_finish(self) -> None:
        """Give a body up that was answered before its end."""
        self._give_up()

    def _give_up(self) -> None:
        if self._receiving is not None and not self._receiving.done():
            self._receiving.cancel()
        elif self._receiving is not None and not self._receiving.cancelled():
            # Retrieved, so that an error nobody waits for any more is no defect.
            self._receiving.exception()


def lift_bound(request: HTTPServerRequest) -> None:
    """Let a body that is streamed be of any size."""
    connection: Any = request.connection
    connection.set_max_body_size(UNBOUNDED)
