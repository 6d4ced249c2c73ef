"""`/files/{sha256}`: what is sent for a job before the job itself."""

from __future__ import annotations

from http import HTTPStatus

from tornado import web

from nds_jupyter.data.entries import Entry
from nds_jupyter.handlers.base import allowed
from nds_jupyter.handlers.receiving import Receiving
from nds_jupyter.queries import NoQuery
from nds_jupyter.views import FileView


@web.stream_request_body
class FileHandler(Receiving[Entry]):
    """One file of the owner, by the SHA-256 of its content."""

    @allowed("read")
    async def get(self, sha256: str) -> None:
        """Stream it."""
        entry = await self._described(sha256)
        await self.stream(self.services.spool.read(entry))

    @allowed("read")
    async def head(self, sha256: str) -> None:
        """Say whether it is here, and keep it for another while if it is."""
        await self._described(sha256)
        self.finish()

    async def _described(self, sha256: str) -> Entry:
        self.query(NoQuery)
        entry = await self.services.spool.find(self.owner, sha256)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", "attachment")
        self.set_header("Content-Length", str(entry.size))
        return entry

    async def receive(self) -> Entry:
        """Take the body."""
        self.query(NoQuery)
        length = self.request.headers.get("Content-Length")
        return await self.services.spool.receive(
            self.owner,
            self.path_kwargs["sha256"],
            self.body(),
            None if length is None else int(length),
        )

    @allowed("write")
    async def put(self, sha256: str) -> None:
        """Answer once all of it is here and has this digest."""
        entry = await self.received()
        self.answer(FileView(sha256=sha256, size=entry.size), HTTPStatus.CREATED)
