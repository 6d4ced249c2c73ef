"""Routes of images and containers: lists, information, filesystem diff, metrics, logs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from nds_jupyter.engines.base import LogRequest
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.rest.queries import (
    ContainersQuery,
    DiffQuery,
    InfoQuery,
    NoQuery,
    StdoutQuery,
    TargetQuery,
)
from nds_jupyter.services.target_lookup import Target


class ListImagesHandler(NdsHandler):
    """Images that a job may use."""

    @allowed("read")
    async def get(self) -> None:
        """Give them all."""
        self.query(NoQuery)
        self.answer(await self.services.reports.images())


class ListContainerHandler(NdsHandler):
    """The owner's containers."""

    @allowed("read")
    async def get(self) -> None:
        """Give a page of them, newest first."""
        query = self.query(ContainersQuery)
        rows = await self.services.reports.rows(self.owner, include_ended=query.all)
        self.answer_page(rows, query.limit, query.cursor)


class InfoHandler(NdsHandler):
    """What the engine knows of containers."""

    @allowed("read")
    async def get(self) -> None:
        """Give one container, or a page of them by last use."""
        query = self.query(InfoQuery)
        if query.cont_id is not None:
            self.answer(await self.services.reports.container(self.owner, query.cont_id))
            return
        views = await self.services.reports.last_used(self.owner)
        self.answer_page(views, query.limit, query.cursor)


class DiffHandler(NdsHandler):
    """What a container changed on its filesystem."""

    @allowed("read")
    async def get(self) -> None:
        """Give a page of changed paths."""
        query = self.query(DiffQuery)
        target = await self.target(query)
        rows = await self.services.reports.diff(target)
        page = self.page_of(rows, query.limit, query.cursor)
        self.answer(await self.services.results.measured(target, page))


class MetricHandler(NdsHandler):
    """What a container uses and used."""

    @allowed("read")
    async def get(self) -> None:
        """Give the newest sample, the history and the container."""
        target = await self.target(self.query(TargetQuery))
        self.answer(await self.services.reports.metric(target))


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
