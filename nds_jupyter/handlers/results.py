"""Routes of results: archives, files, lists, and delivery of a selection to the data root."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import PurePosixPath

from nds_jupyter.archives.tar_conversion import (
    ResultFormat,
    content_disposition,
    convert,
    open_single_file,
    parse_range,
)
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.handlers.base_handler import NdsHandler, allowed
from nds_jupyter.handlers.data import DataRootHandler
from nds_jupyter.rest.queries import ArchiveQuery, DeliverRequest, ListResultsQuery, ResultsQuery

MIME = {
    ResultFormat.TAR: "application/x-tar",
    ResultFormat.TAR_GZ: "application/gzip",
    ResultFormat.ZIP: "application/zip",
    ResultFormat.RAW: "application/octet-stream",
}


class ResultsHandler(NdsHandler):
    """Results of a job, as an archive or one file."""

    @allowed("read")
    async def get(self) -> None:
        """Stream a path of the container."""
        query = self.decode_query(ResultsQuery)
        path = _absolute_path(query.path)
        target = await self.find_target(query)
        container_id = target.require_container()
        name = target.job.job_id if target.job else container_id[:12]
        engine = self.services.engine
        self.set_header("Content-Type", MIME[query.format])
        if query.format is ResultFormat.RAW:
            async with contextlib.aclosing(engine.archive(container_id, str(path))) as archive:
                await self._send_file(archive, path.name)
            return
        leaf = path.name or "root"
        filename = f"{name}-{leaf}.{query.format.value}"
        self.set_header("Content-Disposition", content_disposition(filename))
        if query.format is ResultFormat.TAR and self.can_send_by_thread:
            await self.send_by_thread(partial(engine.send_archive, container_id, str(path)))
        else:
            await self.send_stream(convert(engine.archive(container_id, str(path)), query.format))

    async def _send_file(self, archive: AsyncGenerator[bytes, None], filename: str) -> None:
        file = await open_single_file(archive)
        self.set_header("Content-Disposition", content_disposition(filename))
        self.set_header("Accept-Ranges", "bytes")
        start, stop = 0, file.size
        byte_range = parse_range(self.request.headers.get("Range"), file.size)
        if byte_range is not None:
            start, stop = byte_range
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{file.size}")
        self.set_header("Content-Length", str(stop - start))
        await self.send_stream(file.read(start, stop))


class ListResultsHandler(NdsHandler):
    """Listing of a folder of the results."""

    @allowed("read")
    async def get(self) -> None:
        """Send a page of it, by name."""
        query = self.decode_query(ListResultsQuery)
        target = await self.find_target(query)
        rows = await self.services.results.list_folder(target, container_path(query.path))
        page = self.take_page(rows, query.limit, query.cursor)
        self.send_json(await self.services.results.add_types(target, page))


class ArchiveHandler(NdsHandler):
    """Several paths of a container as one archive; both verbs only read."""

    @allowed("read")
    async def get(self) -> None:
        """Stream it, for a link."""
        await self._send()

    @allowed("read")
    async def post(self) -> None:
        """Stream it, for a list that is too long for a URL; a form or JSON."""
        await self._send()

    async def _send(self) -> None:
        query = self.decode_archive_query()
        target = await self.find_target(query)
        container_id = target.require_container()
        paths = [container_path(path) for path in query.paths]
        tar = await self.services.results.archive_paths(container_id, paths)
        name = target.job.job_id if target.job else container_id[:12]
        self.set_header("Content-Type", MIME[query.format])
        self.set_header(
            "Content-Disposition", content_disposition(f"{name}-selection.{query.format.value}")
        )
        await self.send_stream(convert(tar, query.format))

    def decode_archive_query(self) -> ArchiveQuery:
        """Decode the query or the body."""
        query = self.decode_arguments(ArchiveQuery, lists=("paths",))
        if query.format is ResultFormat.RAW:
            raise InvalidRequest("format: raw is for one file. Use GET /results, or tar or zip.")
        return query


def container_path(path: str) -> str:
    """Return a user's path as an absolute one in the container; relative to the results."""
    return str(_absolute_path(path))


def _absolute_path(path: str) -> PurePosixPath:
    if "\0" in path or not path:
        raise InvalidRequest("path: give a path in the container.")
    return PurePosixPath(posixpath.normpath(posixpath.join("/results", path)))


class DeliverHandler(DataRootHandler):
    """Delivery of selected paths to the data root."""

    @allowed("write")
    async def post(self) -> None:
        """Copy them, and send the rows of the written objects."""
        request = self.decode_arguments(DeliverRequest, lists=("paths",))
        data = await self.find_data_root()
        to = data.parse_path(request.to, "to")
        target = await self.find_target(request)
        written = await self.services.delivery.deliver(
            data,
            target.require_container(),
            [container_path(path) for path in request.paths],
            to,
            overwrite=request.overwrite,
        )
        self.send_json([self.data_row(entry) for entry in written])
