"""`/results`: what a job left, as an archive or one file."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import PurePosixPath

from nds_jupyter.archives import (
    ResultFormat,
    content_disposition,
    convert,
    open_raw,
    parse_range,
)
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.queries import ResultsQuery

MIME = {
    ResultFormat.TAR: "application/x-tar",
    ResultFormat.TAR_GZ: "application/gzip",
    ResultFormat.ZIP: "application/zip",
    ResultFormat.RAW: "application/octet-stream",
}


class ResultsHandler(NdsHandler):
    """The results."""

    @allowed("read")
    async def get(self) -> None:
        """Stream a path of the container."""
        query = self.query(ResultsQuery)
        path = _absolute(query.path)
        target = await self.target(query)
        container_id = target.present_container()
        name = target.job.job_id if target.job else container_id[:12]
        archive = self.services.engine.archive(container_id, str(path))
        self.set_header("Content-Type", MIME[query.format])
        if query.format is ResultFormat.RAW:
            async with contextlib.aclosing(archive):
                await self._send_file(archive, path.name)
            return
        leaf = path.name or "root"
        filename = f"{name}-{leaf}.{query.format.value}"
        self.set_header("Content-Disposition", content_disposition(filename))
        await self.stream(convert(archive, query.format))

    async def _send_file(self, archive: AsyncGenerator[bytes, None], filename: str) -> None:
        file = await open_raw(archive)
        self.set_header("Content-Disposition", content_disposition(filename))
        self.set_header("Accept-Ranges", "bytes")
        start, stop = 0, file.size
        asked = parse_range(self.request.headers.get("Range"), file.size)
        if asked is not None:
            start, stop = asked
            self.set_status(206)
            self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{file.size}")
        self.set_header("Content-Length", str(stop - start))
        await self.stream(file.read(start, stop))


def _absolute(path: str) -> PurePosixPath:
    if "\0" in path or not path:
        raise InvalidRequest("path: give a path in the container.")
    return PurePosixPath("/results", path)
