"""The data root: paths, pages, content and metadata over any fsspec filesystem."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from pathlib import Path

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.entries import Avu, Entry, EntryPage, Replica
from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.data.folder_backend import FolderBackend
from nds_jupyter.data.object_reader import read, read_small
from nds_jupyter.data.object_writer import IfExists, expect_collection, write, write_unseen
from nds_jupyter.data.partial_writes import PartialWrite, is_draft
from nds_jupyter.errors import Conflict, DataError, InvalidRequest, NdsError
from nds_jupyter.jobs.logical_paths import is_inside, is_url, join, logical_path, parent_of

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
    named = os.environ.get("IRODS_ENVIRONMENT_FILE")
    environment = Path(named) if named else Path.home() / ".irods" / "irods_environment.json"
    return IRODS if environment.is_file() else str(Path(server_root, FOLDER))


def open_backend(url: str) -> Backend:
    """Return the backend of a URL; nothing talks to its server yet.

    Parameters
    ----------
    url
        Any that fsspec knows, or a path of this machine.
    """
    # One instance for all threads: fsspec would keep one for each, with connections of its own.
    try:
        fs, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
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
    """A data root that is configured wrongly: every use of it says so.

    Parameters
    ----------
    why
        A sentence.
    """

    def __init__(self, why: str) -> None:
        super().__init__(MemoryFileSystem(), "")
        self._why = why

    def full(self, path: str) -> str:
        """Say why there is no such path."""
        del path
        raise DataError(self._why)

    def prepare(self) -> None:
        """Make nothing."""

    def free(self) -> int | None:
        """Know nothing."""
        return None

    def version(self) -> str:
        """Say what is wrong."""
        raise DataError(self._why)


WALK_PAGE = 1000
"""Entries asked for at once by a walk."""


class DataRoot(FilesystemAccess):
    """Where the data of one server is; every path is absolute in its root."""

    @property
    def home(self) -> str:
        """Where a listing begins that names no path."""
        return self.backend.home

    async def close(self) -> None:
        """Free the threads."""
        await self.calls.close()

    def logical(self, text: str, field: str = "path") -> str:
        """Return the path of the data root that a user's text means: a path, or a URL of it.

        Raises
        ------
        InvalidRequest
            If it is of another filesystem, or leads out of the root.
        """
        if not is_url(text):
            return logical_path(text, self.backend.home, field)
        protocol, _, rest = text.partition("://")
        if protocol not in self.backend.protocols:
            mine = " or ".join(f"{name}://" for name in self.backend.protocols)
            raise InvalidRequest(f"{field}: {text[:200]} is not of this data root, which is {mine}")
        full = logical_path(f"/{rest}", field=field)
        if not is_inside(full, self.backend.base or "/"):
            raise InvalidRequest(f"{field}: {text[:200]} is not in this data root.")
        return full[len(self.backend.base) :] or "/"

    async def prepare(self) -> None:
        """Make the root if it is not there."""
        await self.calls.do("/", self.backend.prepare)

    async def version(self) -> str:
        """Ask the root whether it is there, and what it is."""
        return await self.calls.do("/", self.backend.version)

    async def free(self) -> int | None:
        """Return the bytes that can still be stored; None where nobody knows."""
        return await self.calls.do("/", self.backend.free)

    async def page(self, path: str, *, after: str = "", limit: int = 100, q: str = "") -> EntryPage:
        """List a part of a collection.

        Parameters
        ----------
        after
            The name before the first one wanted.
        q
            What the names must contain.
        """
        found = await self.do(path, lambda full: self.backend.page(full, after, limit, q))
        entries = tuple(
            msgspec.structs.replace(each, path=join(path, each.name))
            for each in found.entries
            if not is_draft(each.name)
        )
        return EntryPage(entries=entries, next=found.next)

    async def is_empty(self, path: str) -> bool:
        """Tell whether a collection holds nothing that a listing shows."""
        after: str | None = ""
        while after is not None:
            page = await self.page(path, after=after, limit=10)
            if page.entries:
                return False
            after = page.next
        return True

    async def walk(self, path: str) -> AsyncGenerator[Entry, None]:
        """Yield everything below a collection, collections before what they hold."""
        left = [path]
        while left:
            collection = logical_path(left.pop())
            after: str | None = ""
            while after is not None:
                page = await self.page(collection, after=after, limit=WALK_PAGE)
                for entry in page.entries:
                    yield entry
                left += [each.path for each in page.entries if each.is_collection]
                after = page.next

    async def unreadable(self, paths: Iterable[str]) -> str | None:
        """Return the first path that shows, before it is opened, that it can't be read."""
        return await self.calls.do("/", lambda: self.backend.unreadable(paths))

    def read(
        self, entry: Entry, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Read an object, from one byte to before another; see `reading.read`."""
        return read(self, entry, start, stop)

    async def read_small(self, entries: Sequence[Entry]) -> list[bytes]:
        """Read whole objects that are small enough for memory; see `reading.read_small`."""
        return await read_small(self, entries)

    async def write(
        self,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        exists: IfExists = IfExists.REFUSE,
        sha256: bytes | None = None,
    ) -> Entry:
        """Write an object, all of it or nothing; see `writing.write`."""
        return await write(self, path, chunks, exists=exists, sha256=sha256)

    async def write_unseen(self, draft: PartialWrite, chunks: AsyncIterator[bytes]) -> Entry:
        """Write an object where nobody looks yet; see `writing.write_unseen`."""
        return await write_unseen(self, draft, chunks)

    async def make(self, path: str) -> Entry:
        """Make a collection, and those above it; fine if it is there."""
        await self.do(path, self.backend.make)
        return await self.entry(path)

    @contextlib.asynccontextmanager
    async def made(self, path: str) -> AsyncIterator[None]:
        """Make a collection for what comes; if that fails, remove what was made and is empty."""
        top = await self.drafts.top_missing(path)
        await self.make(path)
        try:
            yield
        except BaseException:
            with contextlib.suppress(NdsError):
                await asyncio.shield(self.drafts.remove_empty(path, top))
            raise

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove an object; a collection only if it is empty or `recursive`."""
        if path == "/":
            raise Conflict("The data root itself can't be removed.")
        await self.do(path, lambda full: self.backend.remove(full, recursive=recursive))

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
        there = await self.find(target)
        if there is not None and (there.is_collection or entry.is_collection or not overwrite):
            raise Conflict(f"{target} exists in the data root.")
        if path == target:
            return entry
        source = await self.do(path, lambda full: full)
        if entry.is_collection:
            await self.do(target, lambda full: self.backend.move_collection(source, full))
        else:
            await self.do(target, lambda full: self.backend.place(source, full, replace=overwrite))
        return await self.entry(target)

    async def discard(self, path: str) -> None:
        """Remove what nobody needs any more, with all it holds; fine if it is gone."""
        await self.do(path, self.backend.discard)

    async def same(self, path: str, other: str) -> bool:
        """Tell whether two objects hold the same."""
        one, two = await self.entry(path), await self.entry(other)
        if one.kind is not two.kind or one.size != two.size:
            return False
        checksum = self.backend.checksum
        return await self.do(path, checksum, one.size) == await self.do(other, checksum, one.size)

    async def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of an object or collection."""
        await self.entry(path)
        return await self.do(path, self.backend.metadata)

    async def set_metadata(self, path: str, avus: tuple[Avu, ...]) -> tuple[Avu, ...]:
        """Replace the metadata of an object or collection, and return it."""
        await self.entry(path)
        await self.do(path, lambda full: self.backend.set_metadata(full, avus))
        return await self.do(path, self.backend.metadata)

    async def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the copies of an object."""
        return await self.do(path, self.backend.replicas)
