"""Data root: listings, content and metadata over any fsspec filesystem."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.entries import Avu, Entry, EntryPage, Replica, Ticket
from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.data.folder_backend import FolderBackend
from nds_jupyter.data.object_reader import read, read_small
from nds_jupyter.data.object_writer import IfExists, ObjectWriter, expect_collection
from nds_jupyter.data.partial_writes import (
    InMemoryRecord,
    PartialWrite,
    PartialWriteRecord,
    PartialWrites,
    is_partial,
)
from nds_jupyter.data.unicode_forms import has_other_form
from nds_jupyter.errors import Conflict, DataError, InvalidRequest, NdsError, PathNotFound
from nds_jupyter.jobs.logical_paths import (
    is_inside,
    is_url,
    join,
    logical_path,
    parent_of,
    split_route,
)

PROTOCOL = "irods"
IRODS = f"{PROTOCOL}://"
FOLDER = "nds-data"


def default_root(server_root: str) -> str:
    """Return the data root of a server that configures none.

    Parameters
    ----------
    server_root
        The Jupyter server's root folder.
    """
    configured = os.environ.get("IRODS_ENVIRONMENT_FILE")
    environment = (
        Path(configured) if configured else Path.home() / ".irods" / "irods_environment.json"
    )
    return IRODS if environment.is_file() else str(Path(server_root, FOLDER))


def open_backend(url: str, **options: Any) -> Backend:
    """Return the backend of a URL; nothing talks to its server yet.

    Parameters
    ----------
    url
        Any that fsspec knows, or a path of this machine.
    **options
        Arguments of its filesystem.
    """
    # One instance for all threads: fsspec would keep one for each, with connections of its own.
    try:
        fs, path = fsspec.core.url_to_fs(url, skip_instance_cache=True, **options)
    except (ImportError, ValueError) as exc:
        # The jobs of a server must not suffer from a data root that can't be used.
        return UnusableBackend(f"The data root {url.partition('?')[0]} can't be used: {exc}")
    if isinstance(fs, LocalFileSystem):
        return FolderBackend(fs, path)
    if fs.protocol == PROTOCOL:
        from nds_jupyter.data.irods_backend import IrodsBackend

        return IrodsBackend(fs, path)
    return Backend(fs, path)


class UnusableBackend(Backend):
    """Backend of a data root that is configured wrongly: every use of it raises.

    Parameters
    ----------
    message
        The sentence of the error.
    error
        Its class.
    """

    def __init__(self, message: str, error: type[NdsError] = DataError) -> None:
        super().__init__(MemoryFileSystem(), "")
        self._message = message
        self._error = error

    def filesystem_path(self, path: str) -> str:
        """Raise the error: there are no paths."""
        del path
        raise self._error(self._message)

    def prepare(self) -> None:
        """Do nothing: a server with a wrong data root still runs jobs."""

    def make_root(self) -> None:
        """Raise the error."""
        raise self._error(self._message)

    def free_bytes(self) -> int | None:
        """Return None: nothing is known."""
        return None

    def version(self) -> str:
        """Raise the error."""
        raise self._error(self._message)


WALK_PAGE = 1000
"""Entries of one page of a walk."""


class DataRoot(FilesystemAccess):
    """Storage of one server's data; every path is absolute in its root.

    Parameters
    ----------
    backend
        The filesystem, and the folder in it.
    threads
        Calls at one time.
    deadline
        Seconds for a call.
    retries
        How often a dropped connection is resumed in one read.
    record
        Stores which writes are under way; None: in memory.
    pool
        Threads that are shared with other roots, in the place of own ones.
    url_head
        What the URLs of this server's routes begin with, without a slash at the end.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        threads: int = 8,
        deadline: float = 30.0,
        retries: int = 3,
        record: PartialWriteRecord | None = None,
        pool: ThreadPoolExecutor | None = None,
        url_head: str = "",
    ) -> None:
        super().__init__(backend, threads=threads, deadline=deadline, retries=retries, pool=pool)
        self._url_head = url_head
        self.partial_writes = PartialWrites(self, record or InMemoryRecord())
        self._writer = ObjectWriter(self, self.partial_writes)

    @property
    def home(self) -> str:
        """Where a listing begins that names no path."""
        return self.backend.home

    async def close(self) -> None:
        """Free the threads."""
        await self.calls.close()

    def parse_path(self, text: str, field: str = "path") -> str:
        """Parse a user's text, a path or a URL of the data root, into a path of it.

        The `url` of a row of `/list_data` is one too, where no path of the root can be meant: in a
        root of a whole zone always, else if the server's routes have a prefix.

        Raises
        ------
        InvalidRequest
            If it is of another filesystem, or leads out of the root.
        """
        if (route := split_route(text, self._url_head)) is not None:
            head, path = route
            if (head and head == self._url_head) or not self.backend.may_hold(text):
                return self._parse_plain(path, field)
        return self._parse_plain(text, field)

    async def find_path(self, text: str, field: str = "path") -> str:
        """Parse a user's text as `parse_path`; but a path that is there means itself."""
        if split_route(text, self._url_head) is not None:
            path = self._parse_plain(text, field)
            if self.backend.may_hold(path) and await self.find(path) is not None:
                return path
        return self.parse_path(text, field)

    def _parse_plain(self, text: str, field: str) -> str:
        if not is_url(text):
            return logical_path(text, self.backend.home, field)
        protocol, _, rest = text.partition("://")
        if protocol not in self.backend.protocols:
            schemes = " or ".join(f"{name}://" for name in self.backend.protocols)
            raise InvalidRequest(
                f"{field}: {text[:200]} is not of this data root, which is {schemes}"
            )
        try:
            fs_path = logical_path(self.backend.path_of_url(rest), field=field)
        except ValueError as exc:
            raise InvalidRequest(f"{field}: {text[:200]} {exc}") from exc
        if not is_inside(fs_path, self.backend.base or "/"):
            raise InvalidRequest(f"{field}: {text[:200]} is not in this data root.")
        return fs_path[len(self.backend.base) :] or "/"

    async def prepare(self) -> None:
        """Make the root if it is not there."""
        await self.calls.run("/", self.backend.prepare)

    async def version(self) -> str:
        """Return the kind and version of the root, after checking that it answers."""
        return await self.calls.run("/", self.backend.version)

    async def free_bytes(self) -> int | None:
        """Return the bytes that can still be stored; None where that is unknown."""
        return await self.calls.run("/", self.backend.free_bytes)

    async def list_page(
        self, path: str, *, after: str = "", limit: int = 100, q: str = ""
    ) -> EntryPage:
        """List one page of a collection.

        Parameters
        ----------
        after
            Cursor: the name before the first one of the page.
        q
            What the names must contain.
        """
        if has_other_form(path):
            path = (await self.entry(path)).path
        page = await self.call(
            path, lambda fs_path: self.backend.list_page(fs_path, after, limit, q)
        )
        entries = tuple(
            msgspec.structs.replace(each, path=join(path, each.name))
            for each in page.entries
            if not is_partial(each.name)
        )
        return EntryPage(entries=entries, next=page.next)

    async def is_empty(self, path: str) -> bool:
        """Tell whether a collection holds nothing that a listing shows."""
        after: str | None = ""
        while after is not None:
            page = await self.list_page(path, after=after, limit=10)
            if page.entries:
                return False
            after = page.next
        return True

    async def walk(self, path: str) -> AsyncGenerator[Entry, None]:
        """Yield everything below a collection, collections before what they hold."""
        pending = [path]
        while pending:
            collection = logical_path(pending.pop())
            after: str | None = ""
            while after is not None:
                page = await self.list_page(collection, after=after, limit=WALK_PAGE)
                for entry in page.entries:
                    yield entry
                pending += [each.path for each in page.entries if each.is_collection]
                after = page.next

    async def first_unreadable(self, paths: Iterable[str]) -> str | None:
        """Return the first path that the account may not read, as far as that is cheap to know."""
        return await self.calls.run("/", lambda: self.backend.first_unreadable(paths))

    def read(
        self, entry: Entry, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Read an object, from one byte to before another; see `object_reader.read`."""
        return read(self, entry, start, stop)

    async def read_small(self, entries: Sequence[Entry]) -> list[bytes]:
        """Read whole objects that are small enough for memory; see `object_reader.read_small`."""
        return await read_small(self, entries)

    async def write(
        self,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        exists: IfExists = IfExists.REFUSE,
        sha256: bytes | None = None,
    ) -> Entry:
        """Write an object completely or not at all; see `ObjectWriter.write`."""
        await self.expect_no_look_alike(path)
        return await self._writer.write(path, chunks, exists=exists, sha256=sha256)

    async def write_partial(self, partial: PartialWrite, chunks: AsyncIterator[bytes]) -> Entry:
        """Write an object under a temporary name; see `ObjectWriter.write_partial`."""
        return await self._writer.write_partial(partial, chunks)

    async def make_collection(self, path: str) -> Entry:
        """Make a collection, and those above it; one that exists already is no error."""
        await self.expect_no_look_alike(path)
        await self.call(path, self.backend.make_collection)
        return await self.entry(path)

    @contextlib.asynccontextmanager
    async def new_collection(self, path: str) -> AsyncIterator[None]:
        """Make a collection for a block of work; if that fails, remove the empty ones it made."""
        top = await self.partial_writes.top_missing(path)
        await self.make_collection(path)
        try:
            yield
        except BaseException:
            with contextlib.suppress(NdsError):
                await asyncio.shield(self.partial_writes.remove_empty(path, top))
            raise

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove an object; a collection only if it is empty or `recursive`."""
        if path == "/":
            raise Conflict("The data root itself can't be removed.")
        await self.call(path, lambda fs_path: self.backend.remove(fs_path, recursive=recursive))

    async def move(self, path: str, target: str, *, overwrite: bool = False) -> Entry:
        """Give an object or a collection another path.

        Parameters
        ----------
        overwrite
            Whether an object at the target is replaced; a collection never is.
        """
        entry = await self.entry(path)
        if path == "/" or (entry.is_collection and is_inside(target, path)):
            raise Conflict(f"{path} can't be moved into itself.")
        await expect_collection(self, parent_of(target))
        await self.expect_no_look_alike(target)
        existing = await self.find(target)
        if existing is not None and (
            existing.is_collection or entry.is_collection or not overwrite
        ):
            raise Conflict(f"{target} exists in the data root.")
        if path == target:
            return entry
        backend = self.backend
        source = await self.call(path, lambda fs_path: fs_path)
        if entry.is_collection:
            await self.call(target, lambda fs_path: backend.move_collection(source, fs_path))
        else:
            await self.call(
                target, lambda fs_path: backend.move_object(source, fs_path, replace=overwrite)
            )
        return await self.entry(target)

    async def discard(self, path: str) -> None:
        """Remove a path for good with all it holds; one that is gone is no error."""
        await self.call(path, self.backend.discard)

    async def have_same_content(self, path: str, other: str) -> bool:
        """Whether two objects have the same content."""
        one, two = await self.entry(path), await self.entry(other)
        if one.kind is not two.kind or one.size != two.size:
            return False
        checksums = [
            await self.call(each, self.backend.checksum, one.size) for each in (path, other)
        ]
        return checksums[0] == checksums[1]

    async def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of an object or collection."""
        await self.entry(path)
        return await self.call(path, self.backend.metadata)

    async def set_metadata(self, path: str, avus: tuple[Avu, ...]) -> tuple[Avu, ...]:
        """Replace the metadata of an object or collection, and return it."""
        await self.entry(path)
        await self.call(path, lambda fs_path: self.backend.set_metadata(fs_path, avus))
        return await self.call(path, self.backend.metadata)

    async def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the copies of an object."""
        return await self.call(path, self.backend.replicas)

    async def create_ticket(
        self,
        path: str,
        *,
        write: bool = False,
        expires: datetime | None = None,
        uses: int | None = None,
    ) -> Ticket:
        """Make a ticket, by which others read, or write, an object or a whole collection."""
        if path == "/":
            raise Conflict("The data root itself can't be shared. Share what is in it.")
        made = await self.call(
            path,
            lambda fs_path: self.backend.create_ticket(
                fs_path, write=write, expires=expires, uses=uses
            ),
        )
        return msgspec.structs.replace(made, path=path)

    async def tickets(self) -> list[Ticket]:
        """Return the tickets of the account for what is in the root, in the order of paths."""
        found = await self.calls.run("/", self.backend.tickets)
        base = self.backend.base
        return [msgspec.structs.replace(each, path=each.path[len(base) :]) for each in found]

    async def remove_ticket(self, ticket: str) -> None:
        """Remove a ticket of the account."""
        try:
            await self.calls.run("/", lambda: self.backend.remove_ticket(ticket))
        except PathNotFound as exc:
            raise PathNotFound("There is no such ticket of yours.") from exc
