"""Routes of the data root: list, read, write, move, remove, metadata, replicas.

Reads and writes may be conditional, by entity tags (RFC 9110, 8.8 and 13).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from jupyter_server.utils import url_path_join
from tornado import web

from nds_jupyter.archives.tar_conversion import content_disposition, parse_range
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Avu, Entry
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import Conflict, InvalidRequest, PreconditionFailed, TooLarge
from nds_jupyter.handlers.base_handler import NdsHandler, allowed
from nds_jupyter.handlers.request_bodies import BodyReceiver
from nds_jupyter.handlers.request_decoding import decode_json_body
from nds_jupyter.jobs.logical_paths import is_inside, is_url
from nds_jupyter.rest import routes
from nds_jupyter.rest.queries import (
    DataLoginRequest,
    DataPostQuery,
    DataRemoveQuery,
    ListDataQuery,
    NoQuery,
    TicketRequest,
    TicketsQuery,
)
from nds_jupyter.rest.views import DataRow

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

DEFAULT_TICKET_LIFETIME = timedelta(days=7)


def entity_tag(entry: Entry) -> str:
    """Return an ETag that changes whenever the content does: its checksum where there is one."""
    if entry.checksum:
        return f'"{entry.checksum}"'
    facts = f"{entry.stamp} {entry.size} {entry.modified}"
    return f'"{hashlib.sha256(facts.encode()).hexdigest()[:32]}"'


def tag_matches(header: str, tag: str | None) -> bool:
    """Return whether a header, ``*`` or a list of ETags, names the version that exists.

    Parameters
    ----------
    tag
        The ETag of that version; None if nothing exists.
    """
    if header.strip() == "*":
        return tag is not None
    return tag is not None and tag in {each.removeprefix("W/") for each in _TAG.findall(header)}


def check_preconditions(
    if_match: str | None, if_none_match: str | None, tag: str | None, path: str
) -> None:
    """Check the conditions of a request that changes something.

    Raises
    ------
    PreconditionFailed
        If it is meant for another version than the one that exists.
    """
    if if_match is not None and not tag_matches(if_match, tag):
        what = "has changed" if tag else "does not exist"
        raise PreconditionFailed(f"If-Match: {path} {what}. Look at it again.")
    if if_none_match is not None and tag_matches(if_none_match, tag):
        raise PreconditionFailed(f"If-None-Match: {path} exists already.")


class DataRootHandler(NdsHandler):
    """Base of the handlers of the data root."""

    def data_row(self, entry: Entry) -> DataRow:
        """Return the row of an entry; its URL opens it."""
        # A URL for a client of a gateway leads to the gateway.
        head = (
            self.request.headers.get(routes.FORWARDED_PREFIX) if self.token_authenticated else None
        )
        head = head or url_path_join("/", self.base_url, self.services.prefix)
        path = quote(entry.path, safe="/")
        where = f"list_data?path={path}" if entry.is_collection else f"data{path}"
        return DataRow(
            name=entry.name,
            url=url_path_join(head, where),
            path=entry.path,
            kind=entry.kind,
            size=entry.size,
            modified=entry.modified,
            checksum=entry.checksum,
        )

    async def find_path(self, path: str) -> tuple[DataRoot, str]:
        """Return the owner's data root, and the path of it for the path in the URL."""
        data = await self.find_data_root()
        return data, await data.find_path(path if is_url(path) else f"/{path}")


class ListDataHandler(DataRootHandler):
    """Listing of a collection."""

    @allowed("read")
    async def get(self) -> None:
        """Send a page of one."""
        query = self.decode_query(ListDataQuery)
        data = await self.find_data_root()
        path = await data.find_path(query.path) if query.path else data.home
        page = await data.list_page(
            path, after=query.cursor or "", limit=query.limit, q=query.q or ""
        )
        # A client that names no path learns what was listed, also where that holds nothing.
        self.set_header("Content-Location", f"list_data?path={quote(path, safe='/')}")
        if page.next is not None:
            self.set_next_link(page.next)
        self.send_json([self.data_row(entry) for entry in page.entries])


@web.stream_request_body
class DataHandler(BodyReceiver[Entry], DataRootHandler):
    """Content of an object, and changes of a path."""

    @allowed("read")
    async def get(self, path: str) -> None:
        """Stream an object, or a range of it."""
        data, entry = await self._find_object(path)
        if self._finish_if_unmodified(entry):
            return
        start, stop = self._requested_range(entry)
        self.set_header("Content-Length", str(stop - start))
        await self.send_stream(data.read(entry, start, stop))

    @allowed("read")
    async def head(self, path: str) -> None:
        """Send the headers of an object."""
        _, entry = await self._find_object(path)
        if self._finish_if_unmodified(entry):
            return
        self.set_header("Content-Length", str(entry.size))
        self.finish()

    async def _find_object(self, path: str) -> tuple[DataRoot, Entry]:
        self.decode_query(NoQuery)
        data, target = await self.find_path(path)
        entry = await data.entry(target)
        if entry.is_collection:
            raise Conflict(f"{entry.path} is a collection. GET /list_data?path= lists it.")
        return data, entry

    def _finish_if_unmodified(self, entry: Entry) -> bool:
        """Set the headers of an object; respond 304 and return true if the client has it."""
        tag = entity_tag(entry)
        check_preconditions(self.request.headers.get("If-Match"), None, tag, entry.path)
        self.set_header("ETag", tag)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Cache-Control", "private, no-cache")
        if entry.modified is not None:
            self.set_header("Last-Modified", format_datetime(entry.modified, usegmt=True))
        if tag_matches(self.request.headers.get("If-None-Match", ""), tag):
            self.set_status(HTTPStatus.NOT_MODIFIED)
            self.finish()
            return True
        # Never a page of this server: what somebody stored must not act in the reader's name.
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", content_disposition(entry.name))
        return False

    def _requested_range(self, entry: Entry) -> tuple[int, int]:
        if_range = self.request.headers.get("If-Range")
        if if_range is not None and not tag_matches(if_range, entity_tag(entry)):
            return 0, entry.size
        span = parse_range(self.request.headers.get("Range"), entry.size)
        if span is None:
            return 0, entry.size
        self.set_status(HTTPStatus.PARTIAL_CONTENT)
        self.set_header("Content-Range", f"bytes {span[0]}-{span[1] - 1}/{entry.size}")
        return span

    async def receive(self) -> Entry:
        """Write the body."""
        self.decode_query(NoQuery)
        data, target = await self.find_path(self.path_kwargs["path"] or "")
        headers = self.request.headers
        length = headers.get("Content-Length")
        free = await data.free_bytes()
        if length is not None and free is not None and int(length) > free:
            raise TooLarge(f"{target}: the data root has no space for {length} bytes.")
        existing = await data.find(target)
        tag = entity_tag(existing) if existing else None
        only_if = headers.get("If-None-Match")
        # Conditions do not count where the request would fail without them (RFC 9110, 13.2.1).
        if existing is None or not existing.is_collection:
            check_preconditions(headers.get("If-Match"), only_if, tag, target)
        self.set_status(HTTPStatus.OK if existing else HTTPStatus.CREATED)
        exists = IfExists.REPLACE if only_if is None else IfExists.REFUSE
        return await data.write(target, self.body_blocks(), exists=exists)

    @allowed("write")
    async def put(self, path: str) -> None:
        """Respond to an upload once it is in place."""
        del path
        entry = await self.wait_for_result()
        row = self.data_row(entry)
        self.set_header("Location", row.url)
        self.set_header("ETag", entity_tag(entry))
        self.send_json(row, self.get_status())

    @allowed("write")
    async def delete(self, path: str) -> None:
        """Remove an object, or a collection."""
        query = self.decode_query(DataRemoveQuery)
        data, target = await self.find_path(path)
        if (if_match := self.request.headers.get("If-Match")) is not None:
            existing = await data.find(target)
            check_preconditions(if_match, None, entity_tag(existing) if existing else None, target)
        await data.remove(target, recursive=query.recursive)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()

    @allowed("write")
    async def post(self, path: str) -> None:
        """Create a collection, or move an object or collection."""
        query = self.decode_query(DataPostQuery)
        data, target = await self.find_path(path)
        if (query.mkdir is None) == (query.move_to is None):
            raise InvalidRequest("mkdir, move_to: give exactly one of them.")
        if query.move_to is not None:
            goal = data.parse_path(query.move_to, "move_to")
            self.send_json(self.data_row(await data.move(target, goal, overwrite=query.overwrite)))
            return
        existing = await data.find(target)
        made = await data.make_collection(target)
        self.send_json(self.data_row(made), HTTPStatus.OK if existing else HTTPStatus.CREATED)


class MetadataHandler(DataRootHandler):
    """Metadata of one path."""

    @allowed("read")
    async def get(self, path: str) -> None:
        """Send the AVUs."""
        self.decode_query(NoQuery)
        data, target = await self.find_path(path)
        self.send_json(await data.metadata(target))

    @allowed("write")
    async def put(self, path: str) -> None:
        """Replace the AVUs by those of the body."""
        self.decode_query(NoQuery)
        avus = decode_json_body(self.request.body, tuple[Avu, ...])
        for avu in avus:
            if not avu.name or not avu.value:
                raise InvalidRequest("name, value: neither may be empty.")
        unique = tuple(dict.fromkeys(avus))
        data, target = await self.find_path(path)
        self.send_json(await data.set_metadata(target, unique))


class ReplicasHandler(DataRootHandler):
    """The replicas of one object."""

    @allowed("read")
    async def get(self, path: str) -> None:
        """Send them all."""
        self.decode_query(NoQuery)
        data, target = await self.find_path(path)
        self.send_json(await data.replicas(target))


class DataLoginHandler(NdsHandler):
    """The owner's login to the data root."""

    @allowed("read")
    async def get(self) -> None:
        """Send whose account opens it, and whether a login is needed."""
        self.decode_query(NoQuery)
        self.send_json(self.services.data_logins.describe(self.owner))

    @allowed("write")
    async def put(self) -> None:
        """Log in: 200; 202 where an interactive login asks for more."""
        self.decode_query(NoQuery)
        request = decode_json_body(self.request.body, DataLoginRequest)
        view = await self.services.data_logins.log_in(self.owner, request)
        self.send_json(view, HTTPStatus.OK if view.prompt is None else HTTPStatus.ACCEPTED)

    @allowed("write")
    async def delete(self) -> None:
        """Log out."""
        self.decode_query(NoQuery)
        await self.services.data_logins.log_out(self.owner)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class TicketsHandler(NdsHandler):
    """The owner's tickets, by which others use what they are for."""

    @allowed("read")
    async def get(self) -> None:
        """Send those for a path and what is in it, or all."""
        query = self.decode_query(TicketsQuery)
        data = await self.find_data_root()
        above = data.parse_path(query.path) if query.path else "/"
        self.send_json([each for each in await data.tickets() if is_inside(each.path, above)])

    @allowed("write")
    async def post(self) -> None:
        """Make one: 201."""
        self.decode_query(NoQuery)
        request = decode_json_body(self.request.body, TicketRequest)
        expires, now = request.expires, datetime.now(UTC).replace(microsecond=0)
        if expires is msgspec.UNSET:
            expires = now + DEFAULT_TICKET_LIFETIME
        elif isinstance(expires, datetime) and expires <= now:
            raise InvalidRequest("expires: it is over already.")
        data = await self.find_data_root()
        made = await data.create_ticket(
            data.parse_path(request.path),
            write=request.write,
            expires=expires if isinstance(expires, datetime) else None,
            uses=request.uses,
        )
        self.send_json(made, HTTPStatus.CREATED)


class TicketHandler(NdsHandler):
    """One ticket of the owner."""

    @allowed("write")
    async def delete(self, ticket: str) -> None:
        """Remove it: nobody uses it any more."""
        self.decode_query(NoQuery)
        await (await self.find_data_root()).remove_ticket(ticket)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()
