"""Storage backend of a data root over a generic fsspec filesystem.

Everything here blocks, takes and returns paths of the filesystem, and raises subclasses of
`OSError`; `nds_jupyter.data.filesystem_access` runs it in threads and maps its errors.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

from nds_jupyter.data.entries import (
    Avu,
    Entry,
    EntryPage,
    Kind,
    ListingCursor,
    Replica,
    Ticket,
)
from nds_jupyter.errors import NdsError, NotOffered
from nds_jupyter.jobs.logical_paths import join

CHUNK = 4 * 2**20
"""Bytes of one read; measured fastest from iRODS, and small enough for many at a time."""

NO_TICKETS = (
    "Tickets are of iRODS, and this data root is not in it. Share its files as their disk does: by "
    "permissions, or by a folder that others can read."
)


class Backend:
    """Blocking operations on one fsspec filesystem, below the folder that is the data root.

    Parameters
    ----------
    fs
        Used from many threads.
    base
        The folder, without a slash at its end; empty for the whole filesystem.
    """

    def __init__(self, fs: AbstractFileSystem, base: str) -> None:
        self.fs = fs
        self.base = base.rstrip("/")

    @property
    def home(self) -> str:
        """Where a listing begins that names no path, as a path of the data root."""
        return "/"

    @property
    def protocols(self) -> tuple[str, ...]:
        """The names that URLs of the filesystem begin with."""
        protocol = self.fs.protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def path_of_url(self, rest: str) -> str:
        """Return the filesystem's path of what follows ``://`` in a URL of it.

        Raises
        ------
        ValueError
            If it names another server; the sentence says which.
        """
        return f"/{rest}"

    def may_hold(self, path: str) -> bool:
        """Whether there may be something at a path of the data root, without looking."""
        del path
        return True

    def portable_settings(self) -> Mapping[str, Any] | None:
        """Return the arguments that make the same filesystem on another machine.

        Returns
        -------
        mapping or None
            They may hold a password; None where it can be reached from this machine only.
        """
        return None

    def prepare(self) -> None:
        """Make the root if it is not there, where making it is no matter of its owner."""
        self.make_root()

    def make_root(self) -> None:
        """Make the root if it is not there."""
        if self.base:
            self.fs.makedirs(self.base, exist_ok=True)

    def close_idle(self) -> None:
        """Close the connections that nobody uses, where there are any."""

    def filesystem_path(self, path: str) -> str:
        """Return the filesystem's path of a path of the data root; PermissionError if outside."""
        return join(self.base, path.lstrip("/")).rstrip("/") or "/"

    def map_error(self, exc: OSError) -> NdsError | None:
        """Return our error for an error of this filesystem, or None for the one of its class."""
        del exc
        return None

    def entry(self, path: str) -> Entry:
        """Describe one path."""
        return _entry(self.fs.info(path))

    def list_page(self, path: str, after: str, limit: int, q: str) -> EntryPage:
        """List one page of a collection: collections first, then objects, each by code points."""
        if not self.entry(path).is_collection:
            raise NotADirectoryError(path)
        cursor = ListingCursor.decode(after)
        begins = {Kind.COLLECTION: cursor.collection, Kind.DATA_OBJECT: cursor.data_object}
        found = sorted(
            (kind is Kind.DATA_OBJECT, name)
            for name, kind in self._names(path)
            if q in name and (begin := begins[kind]) is not None and name > begin
        )
        shown = [name for _, name in found[:limit]]
        following = None
        if len(found) > limit:
            in_objects, last = found[limit - 1]
            following = ListingCursor(
                collection=None if in_objects else last,
                data_object=last if in_objects else cursor.data_object,
            ).encode()
        return EntryPage(entries=tuple(self._describe(path, shown)), next=following)

    def _names(self, path: str) -> Iterable[tuple[str, Kind]]:
        """Return the names in a collection with their kinds, in any order."""
        for info in self.fs.ls(path, detail=True):
            kind = Kind.COLLECTION if info["type"] == "directory" else Kind.DATA_OBJECT
            yield _leaf(str(info["name"])), kind

    def _describe(self, path: str, names: Iterable[str]) -> Iterable[Entry]:
        for name in names:
            try:
                yield self.entry(join(path, name))
            except (FileNotFoundError, PermissionError):
                # Gone meanwhile, or a link that leads out: for this root it does not exist.
                continue

    def first_unreadable(self, paths: Iterable[str]) -> str | None:
        """Return the first path of the data root that is known, unopened, to be unreadable."""
        del paths
        return None

    def read_streams(self, size: int) -> int:
        """Return how many files read an object of a size at the same time."""
        del size
        return 1

    def open_read(self, path: str, start: int) -> Any:
        """Open an object, at a position."""
        file = self.fs.open(path, "rb")
        try:
            if start:
                file.seek(start)
        except BaseException:
            file.close()
            raise
        return file

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Read a part of an object, small enough for memory."""
        with self.open_read(path, start) as file:
            return bytes(file.read(stop - start))

    def open_write(self, path: str, target: str) -> Any:
        """Open a new object under its temporary path.

        Parameters
        ----------
        target
            The path that it will get, for the sentence of an error.
        """
        del target
        return self.fs.open(path, "wb")

    def abort_write(self, file: Any) -> None:
        """Close an object whose write failed."""
        with contextlib.suppress(OSError):
            file.close()

    def discard(self, path: str) -> None:
        """Remove a path for good with all it holds, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.remove(path, recursive=True)

    def roll_back(self, partial: str, target: str) -> None:
        """Remove what an interrupted write left; what it was to replace is there afterwards."""
        del target
        self.discard(partial)

    def remove_empty(self, path: str) -> None:
        """Remove a collection that holds nothing, for good."""
        self.remove(path, recursive=False)

    def has_digest(self, path: str, sha256: bytes) -> bool:
        """Whether what is stored has this digest, by reading it back."""
        digest = hashlib.sha256()
        with self.fs.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        return digest.digest() == sha256

    def move_object(
        self, source: str, target: str, *, replace: bool, keep_metadata: bool = False
    ) -> None:
        """Move an object to another path, where it may replace one only if `replace`.

        Parameters
        ----------
        keep_metadata
            Whether it gets the metadata of the object that it replaces, where there is metadata.
        """
        del keep_metadata
        if not replace and self.fs.exists(target):
            raise FileExistsError(target)
        self.fs.cp_file(source, target)
        self.fs.rm_file(source)

    def move_collection(self, source: str, target: str) -> None:
        """Move a collection with all it holds to a name that is free."""
        if self.fs.exists(target):
            raise FileExistsError(target)
        self.fs.mkdir(target)
        for name, _ in list(self._names(source)):
            inner, outer = join(source, name), join(target, name)
            if self.entry(inner).is_collection:
                self.move_collection(inner, outer)
            else:
                self.move_object(inner, outer, replace=False)
        self.fs.rmdir(source)

    def make_collection(self, path: str) -> None:
        """Make a collection and those above it."""
        self.fs.makedirs(path, exist_ok=True)

    def remove(self, path: str, *, recursive: bool) -> None:
        """Remove an object; a collection only if it is empty or `recursive`."""
        if not self.entry(path).is_collection:
            self.fs.rm_file(path)
            return
        names = list(self._names(path))
        if names and not recursive:
            raise OSError(errno.ENOTEMPTY, f"{path} is not empty")
        for name, _ in names:
            self.remove(join(path, name), recursive=True)
        self.fs.rmdir(path)

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of a path; NotImplementedError where none can be stored."""
        raise NotImplementedError

    def set_metadata(self, path: str, avus: tuple[Avu, ...]) -> None:
        """Replace the metadata of a path; NotImplementedError where none can be stored."""
        raise NotImplementedError

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas of an object; a filesystem without replication has one."""
        entry = self.entry(path)
        if entry.is_collection:
            raise IsADirectoryError(path)
        only = Replica(
            number=0,
            resource=self.protocols[0],
            status="good",
            size=entry.size,
            checksum=entry.checksum,
            modified=entry.modified,
        )
        return (only,)

    def create_ticket(
        self, path: str, *, write: bool, expires: datetime | None, uses: int | None
    ) -> Ticket:
        """Make a ticket for a path."""
        del path, write, expires, uses
        raise NotOffered(NO_TICKETS)

    def tickets(self) -> list[Ticket]:
        """Return the tickets that the account has made, by paths of the filesystem."""
        raise NotOffered(NO_TICKETS)

    def remove_ticket(self, ticket: str) -> None:
        """Remove a ticket that the account has made."""
        del ticket
        raise NotOffered(NO_TICKETS)

    def checksum(self, path: str) -> str:
        """Compute the checksum of an object."""
        digest = hashlib.sha256()
        with self.fs.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        return sha2_text(digest.digest())

    def free_bytes(self) -> int | None:
        """Return the bytes that can still be stored; None where that is unknown."""
        return None

    def version(self) -> str:
        """Return the kind and version of the root, after checking that it is there."""
        self.fs.info(self.base or "/")
        return type(self.fs).__name__


def sha2_text(digest: bytes) -> str:
    """Return a SHA-256 as iRODS writes it."""
    return f"sha2:{base64.b64encode(digest).decode()}"


def _leaf(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _entry(info: Mapping[str, Any]) -> Entry:
    path = "/" + str(info["name"]).strip("/")
    folder = info["type"] == "directory"
    modified = next((info[key] for key in _TIME_KEYS if info.get(key) is not None), None)
    return Entry(
        name=_leaf(path),
        path=path,
        kind=Kind.COLLECTION if folder else Kind.DATA_OBJECT,
        size=0 if folder else int(info.get("size") or 0),
        modified=_timestamp(modified),
        stamp=f"{info.get('ino', '')}-{modified}-{info.get('ETag', '')}",
    )


_TIME_KEYS = ("mtime", "modified", "LastModified", "last_modified", "updated", "created")


def _timestamp(value: object) -> datetime | None:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return None
