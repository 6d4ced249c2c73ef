"""`IrodsFileSystem`: the fsspec filesystem of an iRODS zone."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike, stringify_path

from nds_jupyter.data.entries import Avu, Entry, EntryPage, Replica, Ticket
from nds_jupyter.data.irods.catalogue_queries import CatalogueEntry
from nds_jupyter.data.irods.collections import CollectionOperations
from nds_jupyter.data.irods.config import PROTOCOL, Account, settings_from_url
from nds_jupyter.data.irods.listing import Listing
from nds_jupyter.data.irods.logical_paths import logical_path
from nds_jupyter.data.irods.metadata import MetadataOperations
from nds_jupyter.data.irods.object_descriptors import BLOCK
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.open_files import ReadFile, WriteFile, read_range
from nds_jupyter.data.irods.path_patterns import LiteralPaths
from nds_jupyter.data.irods.replacement import Replacement
from nds_jupyter.data.irods.sessions import SessionTimeouts, shared_session_holder
from nds_jupyter.data.irods.tickets import TicketOperations
from nds_jupyter.data.irods.transfer import (
    TransferStreams,
    download,
    download_tree,
    upload,
    upload_tree,
)


class IrodsFileSystem(LiteralPaths):
    """Filesystem of the data objects and collections of an iRODS zone.

    Paths are logical paths, ``/zone/home/user/object``, or ``irods:///zone/home/user/object``; a
    URL may also name user and host: ``irods://user@host:1247/zone/…``. What is not given comes
    from the environment (`nds_jupyter.data.irods.config`).

    One session is shared by all instances and threads of a process that use the same account.

    Parameters
    ----------
    host, port, user, zone, password
        The account; all but the password are also in ``irods_environment.json``.
    env_file
        Path of an ``irods_environment.json``.
    client_user
        The user for whom the account, a rodsadmin, acts; what is not shared with that user is
        not there.
    ticket
        Gives access to what the owner of the ticket shared.
    timeout
        Seconds without data after which a reply times out; transfers as a whole have no limit.
    patience
        Seconds for which a refused connection is retried, as by a server that restarts.
    streams
        Connections for one large file.
    parallel_from
        Bytes from which on a file is large.
    files_at_once
        Files that a recursive `put` or `get` transfers at the same time, unless they are large.
    trash
        Whether what is removed goes to the zone's trash, or is removed for good.
    auto_mkdir
        Whether writing makes the collections that a path needs.
    verify_downloads
        Whether `get` compares what arrived with the registered checksum; uploads always are.
    **settings
        Any name of ``irods_environment.json``.
    """

    protocol = PROTOCOL
    blocksize = BLOCK
    root_marker = "/"
    cachable = True

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        user: str | None = None,
        zone: str | None = None,
        password: str | None = None,
        *,
        env_file: str | os.PathLike[str] | None = None,
        client_user: str | None = None,
        ticket: str | None = None,
        timeout: float = 60.0,
        patience: float = 15.0,
        streams: int = 4,
        parallel_from: int = 64 * 2**20,
        files_at_once: int = 8,
        trash: bool = True,
        auto_mkdir: bool = True,
        verify_downloads: bool = False,
        **settings: Any,
    ) -> None:
        irods_settings = {
            name: value for name, value in settings.items() if name.startswith("irods_")
        }
        super().__init__(
            **{name: settings[name] for name in settings.keys() - irods_settings.keys()}
        )
        options = irods_settings | {
            "host": host,
            "port": port,
            "user": user,
            "zone": zone,
            "password": password,
            "env_file": env_file,
            "client_user": client_user,
            "ticket": ticket,
        }
        self.trash = trash
        self._session_holder = shared_session_holder(
            options, SessionTimeouts(timeout=timeout, patience=patience)
        )
        self._listing = Listing(self._session_holder)
        self._collections = CollectionOperations(self._session_holder, self._listing)
        self._objects = ObjectOperations(
            self._session_holder, self._listing, self._collections, auto_mkdir=auto_mkdir
        )
        self._tickets = TicketOperations(self._session_holder)
        self._metadata = MetadataOperations(self._session_holder, self._listing)
        self._replacement = Replacement(self._objects, self._metadata)
        self._streams = TransferStreams(
            max_streams=streams,
            parallel_from=parallel_from,
            files_at_once=files_at_once,
            verify_downloads=verify_downloads,
        )

    # Account and zone

    @property
    def account(self) -> Account:
        """The account, with its password."""
        return self._session_holder.account

    @property
    def zone(self) -> str:
        """The zone of the account."""
        return self._session_holder.account.zone

    @property
    def user(self) -> str:
        """The user whose permissions count."""
        return self._session_holder.account.acting_user

    @property
    def home(self) -> str:
        """The account's home collection."""
        return self._session_holder.account.home

    @property
    def fsid(self) -> str:
        """Identifier of the zone, as fsspec wants it."""
        account = self._session_holder.account
        return f"irods-{account.host}-{account.port}-{account.zone}"

    @property
    def server_version(self) -> tuple[int, ...]:
        """The version of the server, which is queried once."""
        return self._session_holder.call(lambda session: session.server_version, self.home)

    def close(self) -> None:
        """Close the idle connections; the next call opens others."""
        self._session_holder.close()

    def close_idle(self) -> None:
        """Close the connections that nobody uses at this moment."""
        self._session_holder.close_idle()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return logical_path(stringify_path(path))

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return settings_from_url(path)

    # Lookup

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a collection, or the one object that the path is."""
        entries = self._listing.list_all(self._strip_protocol(path))
        return [each.as_info() if detail else each.path for each in entries]

    def ls_page(self, path: str, after: str = "", limit: int = 100, q: str = "") -> EntryPage:
        """List one page of a collection: collections first, then data objects, each by name.

        Names are in the catalogue's own order, which its database decides. The first page costs
        a query for each of the two kinds, asked at the same time, and where the collections end
        there are two; every other page costs one, wherever it is.

        Parameters
        ----------
        after
            `EntryPage.next` of the page before, or a name; empty for the first page.
        limit
            Most entries of the page. It can be shorter though others follow, where objects have
            several replicas.
        q
            What the name must contain.
        """
        return self._listing.page(self._strip_protocol(path), after, limit, q)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe one path."""
        return self._find(path).as_info()

    def entry(self, path: str) -> Entry:
        """Describe one path as an entry of a data root."""
        return self._find(path).as_entry()

    def _find(self, path: str) -> CatalogueEntry:
        return self._listing.find(self._strip_protocol(path))

    def _as_it_is(self, path: str) -> str:
        return self._listing.path_as_it_is(self._strip_protocol(path))

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a path; an unreachable zone is an error, not a no."""
        return self._kind(path) is not None

    def isdir(self, path: str) -> bool:
        """Whether a path is a collection."""
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Whether a path is a data object."""
        return self._kind(path) == "file"

    def _kind(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                return None
            raise

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """List everything below a collection; without `maxdepth` in a few queries for all of it."""
        path = self._strip_protocol(path)
        if maxdepth is not None:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        try:
            entries = self._listing.list_tree(path)
            if withdirs and path not in {each.path for each in entries}:
                entries.insert(0, self._find(path))
        except FileNotFoundError:
            entries = []
        infos = {
            each.path: each.as_info() for each in entries if withdirs or not each.is_collection
        }
        return infos if detail else list(infos)

    def created(self, path: str) -> datetime:
        """Return the time of creation."""
        return self._known_time(path, self._find(path).created)

    def modified(self, path: str) -> datetime:
        """Return the time of the last change."""
        return self._known_time(path, self._find(path).modified)

    def _known_time(self, path: str, time: datetime | None) -> datetime:
        if time is None:
            raise OSError(errno.ENODATA, f"{path}: the zone keeps no time for it")
        return time

    def ukey(self, path: str) -> str:
        """Return a key that changes whenever the content does."""
        return self._find(path).stamp

    def checksum(self, path: str) -> str:
        """Return the registered checksum, like ``sha2:…``; if there is none, it is computed."""
        return self._objects.checksum(self._strip_protocol(path))

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas of a data object, in the order of their numbers."""
        return self._listing.replicas(self._strip_protocol(path))

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of a collection or data object."""
        return self._metadata.get(self._as_it_is(path))

    # Tickets

    def create_ticket(
        self,
        path: str,
        *,
        write: bool = False,
        expires: datetime | None = None,
        uses: int | None = None,
    ) -> Ticket:
        """Make a ticket, by which others read, or write, an object or a whole collection.

        Parameters
        ----------
        expires
            When it ends; None for never.
        uses
            How often it may be used; None for no limit. See `Ticket`.
        """
        path = self._strip_protocol(path)
        self._find(path)
        return self._tickets.create(path, write=write, expires=expires, uses=uses)

    def tickets(self) -> list[Ticket]:
        """Return the tickets that the account has made, in the order of their paths."""
        return self._tickets.list_all()

    def remove_ticket(self, ticket: str) -> None:
        """Remove a ticket of the account: nobody uses it any more."""
        self._tickets.remove(ticket)

    # Names

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a collection."""
        path = self._strip_protocol(path)
        if not create_parents and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        self._collections.make(path, parents=create_parents, exist_ok=False)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a collection and those above it."""
        self._collections.make(self._strip_protocol(path), parents=True, exist_ok=exist_ok)

    def rmdir(self, path: str, trash: bool | None = None) -> None:
        """Remove an empty collection; `trash` as in `rm`."""
        trash = self.trash if trash is None else trash
        self._collections.remove(self._strip_protocol(path), recursive=False, trash=trash)

    def rm_file(self, path: str, trash: bool | None = None) -> None:
        """Remove one object; `trash` as in `rm`."""
        self.rm_path(path, trash=trash)

    def rm(
        self,
        path: str | list[str],
        recursive: bool = False,
        maxdepth: int | None = None,
        trash: bool | None = None,
    ) -> None:
        """Remove objects, and collections with all they hold if `recursive`.

        Parameters
        ----------
        trash
            Whether they go to the zone's trash or are removed for good; None for what was set
            when the filesystem was made.
        """
        if maxdepth is not None:
            super().rm(path, recursive=recursive, maxdepth=maxdepth)
            return
        for each in reversed(self.expand_path(path)):
            self.rm_path(each, recursive=recursive, trash=trash)

    def rm_path(self, path: str, *, recursive: bool = False, trash: bool | None = None) -> None:
        """Remove one path, which is no pattern even if nothing is there; else as `rm`."""
        trash = self.trash if trash is None else trash
        entry = self._find(path)
        if not entry.is_collection:
            self._objects.remove(entry.path, trash=trash)
        elif recursive:
            self._collections.remove(entry.path, recursive=True, trash=trash)
        else:
            raise IsADirectoryError(errno.EISDIR, f"{path} is a collection. Remove it recursively")

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one object on the server, or make a collection where it is one."""
        source, target = self._as_it_is(path1), self._listing.new_path(self._strip_protocol(path2))
        if self._find(source).is_collection:
            self.makedirs(target, exist_ok=True)
        else:
            self._replacement.copy(source, target)

    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        keep_metadata: bool = False,
        **kwargs: Any,
    ) -> None:
        """Rename an object or a whole collection, without a transfer of data.

        If the target is a collection, the source moves into it. An object replaces another.

        Parameters
        ----------
        keep_metadata
            Whether an object that is replaced keeps its metadata; else it gets the source's. Its
            id, access list and tickets stay in either case.
        """
        if not isinstance(path1, str) or not isinstance(path2, str) or self.is_pattern(path1):
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth)
            return
        source, target = self._as_it_is(path1), self._strip_protocol(path2)
        entry = self._find(source)
        if path2.endswith("/") or (source != target and self.isdir(target)):
            target = f"{target.rstrip('/')}/{entry.name}"
        if source == target:
            return
        self._listing.new_path(target)
        if source.split("/")[1] != target.split("/")[1]:
            # A zone can't rename into another.
            super().mv(source, target, recursive=True)
            return
        with self._objects.moving(entry, target):
            if entry.is_collection:
                self._objects.rename(source, target, collection=True)
            else:
                self._replacement.move(source, target, keep_metadata=keep_metadata)

    # Metadata

    def set_metadata(self, path: str, avus: Iterable[Avu]) -> None:
        """Replace all metadata of a path."""
        self._metadata.replace(self._as_it_is(path), avus)

    def add_metadata(self, path: str, avus: Iterable[Avu]) -> None:
        """Add metadata; what exists already stays."""
        self._metadata.add(self._as_it_is(path), avus)

    def remove_metadata(self, path: str, avus: Iterable[Avu]) -> None:
        """Remove metadata; what does not exist is no error."""
        self._metadata.remove(self._as_it_is(path), avus)

    # Content

    def stream_count(self, size: int) -> int:
        """Return the number of connections over which an object of a size is transferred."""
        return self._streams.count(size)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        final_path: str | None = None,
        **kwargs: Any,
    ) -> ReadFile | WriteFile:
        if mode == "rb":
            return ReadFile(
                self,
                path,
                objects=self._objects,
                block_size=block_size or BLOCK,
                cache_options=cache_options,
                **kwargs,
            )
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"{path} can't be opened as {mode!r}; iRODS files are r, w, x or a.")
        self._listing.new_path(final_path or path)
        if mode == "xb" and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        return WriteFile(
            self,
            path,
            mode,
            replacement=self._replacement,
            block_size=block_size or BLOCK,
            autocommit=autocommit,
            final_path=final_path,
        )

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the content, or a part of it; negative ends count from the end."""
        path = self._strip_protocol(path)
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(path)["size"]
            start, end, _ = slice(start, end).indices(size)
        return read_range(self._objects, path, start or 0, end)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write an object with this content."""
        with self.open(path, "xb" if mode == "create" else "wb") as file:
            view = memoryview(value)
            for start in range(0, len(view), BLOCK):
                file.write(view[start : start + BLOCK])

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty object, or only update the time of an existing one."""
        path = self._strip_protocol(path)
        if truncate or not self.exists(path):
            self.pipe_file(path, b"")
        else:
            path = self._as_it_is(path)
            self._session_holder.call(lambda session: session.data_objects.touch(path), path)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Upload local files, several at a time; collections are made before what they hold."""
        upload_tree(
            self,
            self._streams,
            lpath,
            rpath,
            callback,
            recursive=recursive,
            maxdepth=maxdepth,
            **kwargs,
        )

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Download objects to local files, several at a time."""
        download_tree(
            self,
            self._streams,
            rpath,
            lpath,
            callback,
            recursive=recursive,
            maxdepth=maxdepth,
            **kwargs,
        )

    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Upload one local file, or make a collection where it is a folder."""
        local, path = Path(lpath), self._strip_protocol(rpath)
        if local.is_dir():
            self.makedirs(path, exist_ok=True)
            return
        replace, path = mode != "create", self._listing.new_path(path)
        if not replace and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        if (size := local.stat().st_size) > BLOCK:
            upload(self._replacement, self._streams, local, path, callback, replace=replace)
            return
        callback.set_size(size)
        with local.open("rb") as source, self.open(path, "wb" if replace else "xb") as target:
            while block := source.read(BLOCK):
                callback.relative_update(target.write(block))

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Download one object to a local file, or make a folder where it is a collection."""
        path = self._strip_protocol(rpath)
        if outfile is not None or isfilelike(lpath):
            super().get_file(path, lpath, callback=callback, outfile=outfile)
            return
        try:
            download(self._objects, self._streams, path, Path(lpath), callback)
        except IsADirectoryError:
            Path(lpath).mkdir(parents=True, exist_ok=True)
