"""Routes of images and containers: lists, information, filesystem diff, metrics, logs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from nds_jupyter.engines.base import LogRequest
from nds_jupyter.handlers.base_handler import NdsHandler, allowed
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
        """Send them all."""
        self.decode_query(NoQuery)
        self.send_json(await self.services.containers.list_images())


class ListContainerHandler(NdsHandler):
    """The owner's containers."""

    @allowed("read")
    async def get(self) -> None:
        """Send a page of them, newest first."""
        query = self.decode_query(ContainersQuery)
        rows = await self.services.containers.list_containers(self.owner, include_ended=query.all)
        self.send_page(rows, query.limit, query.cursor)


class InfoHandler(NdsHandler):
    """Information about containers."""

    @allowed("read")
    async def get(self) -> None:
        """Send one container, or a page of them by last use."""
        query = self.decode_query(InfoQuery)
        if query.cont_id is not None:
            self.send_json(
                await self.services.containers.describe_container(self.owner, query.cont_id)
            )
            return
        views = await self.services.containers.list_by_last_use(self.owner)
        self.send_page(views, query.limit, query.cursor)


class DiffHandler(NdsHandler):
    """What a container changed on its filesystem."""

    @allowed("read")
    async def get(self) -> None:
        """Send a page of changed paths."""
        query = self.decode_query(DiffQuery)
        target = await self.find_target(query)
        rows = await self.services.containers.diff(target)
        page = self.take_page(rows, query.limit, query.cursor)
        self.send_json(await self.services.results.add_types_and_sizes(target, page))


class MetricHandler(NdsHandler):
    """Metrics of a container."""

    @allowed("read")
    async def get(self) -> None:
        """Send the newest sample, the history and the container."""
        target = await self.find_target(self.decode_query(TargetQuery))
        self.send_json(await self.services.containers.read_metrics(target))


_ENCODER = msgspec.json.Encoder()
NDJSON = "application/x-ndjson"
PLAIN = "text/plain"


class StdoutHandler(NdsHandler):
    """The log of a job or container."""

    @allowed("read")
    async def get(self) -> None:
        """Send its end as JSON, or all of it as a stream."""
        query = self.decode_query(StdoutQuery)
        target = await self.find_target(query)
        request = LogRequest(
            stream=query.stream,
            tail=query.tail,
            since=query.since,
            follow=query.follow,
            timestamps=query.timestamps,
        )
        accept = self.request.headers.get("Accept", "")
        if NDJSON in accept:
            await self._stream(NDJSON, self._encoded_lines(target, request), follow=query.follow)
        elif query.follow or PLAIN in accept:
            text = self.services.logs.stream_text(target, request)
            await self._stream(f"{PLAIN}; charset=utf-8", text, follow=query.follow)
        else:
            self.send_json(await self.services.logs.read_end(target, request, query.limit))

    async def _stream(
        self, content_type: str, chunks: AsyncGenerator[bytes, None], *, follow: bool
    ) -> None:
        self.set_header("Content-Type", content_type)
        self.set_header("Cache-Control", "no-store")
        # Proxies such as nginx would hold a live log back until they have a buffer full.
        self.set_header("X-Accel-Buffering", "no")
        await self.send_stream(chunks, early=follow)

    async def _encoded_lines(
        self, target: Target, request: LogRequest
    ) -> AsyncGenerator[bytes, None]:
        batches = self.services.logs.stream_lines(target, request)
        async with contextlib.aclosing(batches):
            async for lines in batches:
                yield _ENCODER.encode_lines(lines)
