"""`/stdout`: the log of a container, as JSON, as text, as lines."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from nds_jupyter.engines.base import LogRequest
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.lookup import Target
from nds_jupyter.queries import StdoutQuery

_ENCODER = msgspec.json.Encoder()
NDJSON = "application/x-ndjson"
PLAIN = "text/plain"


class StdoutHandler(NdsHandler):
    """The log."""

    @allowed("read")
    async def get(self) -> None:
        """Give its end as JSON, or all of it as a stream."""
        query = self.query(StdoutQuery)
        target = await self.target(query)
        request = LogRequest(
            stream=query.stream,
            tail=query.tail,
            since=query.since,
            follow=query.follow,
            timestamps=query.timestamps,
        )
        accept = self.request.headers.get("Accept", "")
        if NDJSON in accept:
            await self._stream(NDJSON, self._lines(target, request), follow=query.follow)
        elif query.follow or PLAIN in accept:
            text = self.services.logs.text(target, request)
            await self._stream(f"{PLAIN}; charset=utf-8", text, follow=query.follow)
        else:
            self.answer(await self.services.logs.end(target, request, query.limit))

    async def _stream(
        self, content_type: str, chunks: AsyncGenerator[bytes, None], *, follow: bool
    ) -> None:
        self.set_header("Content-Type", content_type)
        self.set_header("Cache-Control", "no-store")
        # Proxies such as nginx would hold a live log back until they have a buffer full.
        self.set_header("X-Accel-Buffering", "no")
        await self.stream(chunks, early=follow)

    async def _lines(self, target: Target, request: LogRequest) -> AsyncGenerator[bytes, None]:
        batches = self.services.logs.lines(target, request)
        async with contextlib.aclosing(batches):
            async for lines in batches:
                yield _ENCODER.encode_lines(lines)
