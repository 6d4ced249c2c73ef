"""Streamed request bodies of any size, with back-pressure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any, Generic, TypeVar

from tornado.httputil import HTTPServerRequest

from nds_jupyter.errors import NdsError
from nds_jupyter.handlers.base_handler import NdsHandler, allowed

BLOCK = 2**20
"""Bytes collected before they are handed on; they arrive in chunks of 64 KiB."""

BLOCKS_AHEAD = 2
"""Blocks received ahead of the consumer."""

DRAIN_LIMIT = 64 * 2**20
"""Bytes still received, and dropped, after a failure: a client that is cut off in the middle of its
body may never read the answer that says why."""


class RequestBody:
    """Bounded queue between a connection that gives chunks and a task that consumes blocks."""

    def __init__(self) -> None:
        self._collected = bytearray()
        self._blocks: asyncio.Queue[bytes | None] = asyncio.Queue(BLOCKS_AHEAD)
        self.dropped = 0

    async def feed(self, chunk: bytes, consumer: asyncio.Task[object]) -> None:
        """Add a chunk, waiting while the consumer is behind; drop it if the consumer has ended."""
        if consumer.done():
            self.dropped += len(chunk)
            return
        self._collected += chunk
        if len(self._collected) >= BLOCK:
            await self._put_block(consumer)

    async def end(self, consumer: asyncio.Task[object]) -> None:
        """Mark the body as complete."""
        if self._collected:
            await self._put_block(consumer)
        await self._put(None, consumer)

    async def _put_block(self, consumer: asyncio.Task[object]) -> None:
        block, self._collected = bytes(self._collected), bytearray()
        await self._put(block, consumer)

    async def _put(self, block: bytes | None, consumer: asyncio.Task[object]) -> None:
        putting = asyncio.ensure_future(self._blocks.put(block))
        try:
            await asyncio.wait({putting, consumer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body until its end."""
        while (block := await self._blocks.get()) is not None:
            yield block


T = TypeVar("T")

UNBOUNDED = 2**63
"""Bytes of a body: Jupyter's own limit is for bodies that are held in memory."""


class BodyReceiver(NdsHandler, Generic[T]):
    """Base of handlers whose PUT consumes its body in `receive` while it arrives.

    Its class is decorated with `tornado.web.stream_request_body`; Tornado then calls `put` only at
    the end of the body.
    """

    _receive_task: asyncio.Task[T] | None = None
    _body: RequestBody

    async def receive(self) -> T:
        """Consume the body, and return the result."""
        raise NotImplementedError

    async def respond_early(self, result: T) -> None:
        """Respond before the end of a body that `receive` has read enough of; nothing by itself."""

    def body_blocks(self) -> AsyncGenerator[bytes, None]:
        """Return the body in blocks."""
        return self._body.blocks()

    async def wait_for_result(self) -> T:
        """Return the result of `receive`, at the end of the body."""
        if self._receive_task is None:
            raise RuntimeError("a body that nobody began to take")
        await self._body.end(self._receive_task)
        return await self._receive_task

    async def prepare(self, **options: Any) -> None:
        """Start to receive the body of a PUT."""
        await super().prepare(**options)
        if self.request.method == "PUT" and not self._finished:
            lift_size_limit(self.request)
            await self._start_receiving()

    @allowed("write")
    async def _start_receiving(self) -> None:
        self._body = RequestBody()
        self._receive_task = asyncio.create_task(self.receive())

    async def data_received(self, chunk: bytes) -> None:
        """Pass a chunk of the body on to `receive`."""
        if self._receive_task is None or self._finished:
            return
        await self._body.feed(chunk, self._receive_task)
        if self._body.dropped > DRAIN_LIMIT:
            try:
                await self.respond_early(await self._receive_task)
            except NdsError:
                self.send_error(exc_info=sys.exc_info())

    def on_connection_close(self) -> None:
        """Cancel `receive` when the client has disconnected."""
        super().on_connection_close()
        self._cancel_receiving()

    def on_finish(self) -> None:
        """Cancel `receive` when the response was sent before the end of the body."""
        self._cancel_receiving()

    def _cancel_receiving(self) -> None:
        if self._receive_task is not None and not self._receive_task.done():
            self._receive_task.cancel()
        elif self._receive_task is not None and not self._receive_task.cancelled():
            # Retrieved, so that an error nobody waits for any more is no defect.
            self._receive_task.exception()


def lift_size_limit(request: HTTPServerRequest) -> None:
    """Allow a streamed body of any size."""
    connection: Any = request.connection
    connection.set_max_body_size(UNBOUNDED)
