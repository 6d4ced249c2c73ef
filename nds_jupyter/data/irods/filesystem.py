"""`IrodsFileSystem`: an iRODS zone as fsspec knows filesystems."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from datetime import datetime
from glob import has_magic
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike, stringify_path

from nds_jupyter.data.entries import Avu, Entry, EntryPage, Replica
from nds_jupyter.data.irods.atomic_replace import BLOCK, AtomicReplace
from nds_jupyter.data.irods.catalogue import CatalogueEntry
from nds_jupyter.data.irods.config import PROTOCOL, Account, settings_from_url
from nds_jupyter.data.irods.descriptors import REPLICA_TOKENS_SINCE
from nds_jupyter.data.irods.files import ReadFile, WriteFile, read_range
from nds_jupyter.data.irods.listing import Listing
from nds_jupyter.data.irods.objects import (
    CollectionOperations,
    MetadataOperations,
    ObjectOperations,
)
from nds_jupyter.data.irods.sessions import SessionTimeouts, shared_session_holder
from nds_jupyter.data.irods.transfer import (
    BulkTransferPlan,
    Pair,
    TransferKind,
    TransferStreams,
    download,
    move,
    upload,
)

# Neither iRODS nor the XML that it speaks carries the others, and the last are no characters.
_IMPOSSIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def logical_path(text: str) -> str:
    """Return the logical path that a path or URL names, with one slash between its parts.

    Raises
    ------
    OSError
        With ``EINVAL``, for what can't be the path of anything.
    """
    if text.startswith(f"{PROTOCOL}://"):
        _, _, text = text[len(PROTOCOL) + 3 :].partition("/")
    elif text.startswith(f"{PROTOCOL}:"):
        text = text[len(PROTOCOL) + 1 :]
    parts = [part for part in text.split("/") if part]
    path = "/" + "/".join(parts)
    if "." in parts or ".." in parts:
        raise OSError(errno.EINVAL, f"{path}: a logical path has no parts '.' or '..'")
    if _IMPOSSIBLE.search(path):
        raise OSError(errno.EINVAL, f"{path!a}: iRODS has no names with such characters")
    return path


class IrodsFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The data objects and collections of an iRODS zone.

    Paths are logical paths, ``/zone/home/user/object``, or ``irods:///zone/home/user/object``; a
    URL may also name who and where: ``irods://user@host:1247/zone/…``. What is not given comes
    from the environment (`nds_jupyter.data.irods.config`).

    One session is shared by all instances and threads of a process that use the same account.

    Parameters
    ----------
    host, port, user, zone, password
        The account; all but the password are also in ``irods_environment.json``.
    env_file
        Path of an ``irods_environment.json``.
    ticket
        Opens what the owner of the ticket shared.
    timeout
        Seconds of silence after which an answer is given up; transfers as a whole have no limit.
    patience
        Seconds for which a refused connection is tried again, as by a server that restarts.
    streams
        Connections for one large file.
    parallel_from
        Bytes from which on a file is large.
    files_at_once
        Files that a recursive `put` or `get` moves at one time, as long as they are not large.
    trash
        Whether what is removed goes to the zone's trash, or is gone for good.
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
        named = {name: value for name, value in settings.items() if name.startswith("irods_")}
        super().__init__(**{name: settings[name] for name in settings.keys() - named.keys()})
        options = named | {
            "host": host,
            "port": port,
            "user": user,
            "zone": zone,
            "password": password,
            "env_file": env_file,
            "ticket": ticket,
        }
        self.trash = trash
        self._session_holder = shared_session_holder(
            options, SessionTimeouts(timeout=timeout, patience=patience)
        )
        self._listing = Listing(self._session_holder)
        self._collections = CollectionOperations(self._session_holder)
        self._objects = ObjectOperations(
            self._session_holder, self._listing, self._collections, auto_mkdir=auto_mkdir
        )
        self._atomic_replace = AtomicReplace(self._objects)
        self._metadata = MetadataOperations(self._session_holder, self._listing)
        self._streams = TransferStreams(
            most=streams,
            large=parallel_from,
            files=files_at_once,
            verify_downloads=verify_downloads,
        )

    # Who and where

    @property
    def account(self) -> Account:
        """The account, with its password."""
        return self._session_holder.account

    @property
    def zone(self) -> str:
        """The zone that this connects to."""
        return self._session_holder.account.zone

    @property
    def user(self) -> str:
        """The account's name."""
        return self._session_holder.account.user

    @property
    def home(self) -> str:
        """The account's home collection."""
        return self._session_holder.account.home

    @property
    def fsid(self) -> str:
        """What tells this zone from others."""
        account = self._session_holder.account
        return f"irods-{account.host}-{account.port}-{account.zone}"

    @property
    def server_version(self) -> tuple[int, ...]:
        """The version of the server, which it is asked for once."""
        return self._session_holder.call(lambda session: session.server_version, self.home)

    def close(self) -> None:
        """Close the idle connections; the next call opens others."""
        self._session_holder.close()

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
        found = self._listing.list_all(self._strip_protocol(path))
        return [each.info() if detail else each.path for each in found]

    def ls_page(self, path: str, after: str = "", limit: int = 100, q: str = "") -> EntryPage:
        """List a part of a collection.

        Collections and data objects come in one order, that of names. The catalogue is asked
        once for each of the two kinds, at one time, as long as more of it follows: a page of a
        large flat collection costs one query wherever it is, and the first one two.

        Parameters
        ----------
        after
            `EntryPage.next` of the page before, or a name; empty for the first page.
        limit
            Most entries wanted. A page can be shorter though others follow, where objects have
            several replicas.
        q
            What the name must contain.
        """
        return self._listing.page(self._strip_protocol(path), after, limit, q)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe one path."""
        return self._find(path).info()

    def entry(self, path: str) -> Entry:
        """Describe one path as an entry of a data root."""
        return self._find(path).entry()

    def _find(self, path: str) -> CatalogueEntry:
        return self._listing.find(self._strip_protocol(path))

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is something; an unreachable zone is an error, not a no."""
        return self._kind(path) is not None

    def isdir(self, path: str) -> bool:
        """Tell whether the path is a collection."""
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Tell whether the path is a data object."""
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
        found = {each.path: each.info() for each in self._listing.list_tree(path)}
        if not withdirs:
            found = {name: info for name, info in found.items() if info["type"] == "file"}
        if withdirs or not found:
            found = self._and_itself(path, withdirs=withdirs) | found
        return found if detail else list(found)

    def _and_itself(self, path: str, *, withdirs: bool) -> dict[str, Any]:
        try:
            info = self.info(path)
        except FileNotFoundError:
            return {}
        return {path: info} if withdirs or info["type"] == "file" else {}

    def created(self, path: str) -> datetime:
        """Return when it was made."""
        made: datetime = self.info(path)["created"]
        return made

    def modified(self, path: str) -> datetime:
        """Return when it last changed."""
        return self._find(path).modified

    def ukey(self, path: str) -> str:
        """Return what changes whenever the content does."""
        return self._find(path).stamp

    def checksum(self, path: str) -> str:
        """Return the registered checksum, like ``sha2:…``; if there is none, it is computed."""
        return self._objects.checksum(self._strip_protocol(path))

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the copies of a data object, in the order of their numbers."""
        return self._listing.replicas(self._strip_protocol(path))

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of a collection or data object."""
        return self._metadata.get(self._strip_protocol(path))

    # Names

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a collection."""
        path = self._strip_protocol(path)
        if self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        self._collections.make(path, parents=create_parents)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a collection and those above it."""
        if exist_ok:
            self._collections.make(self._strip_protocol(path), parents=True)
        else:
            self.mkdir(path)

    def rmdir(self, path: str, trash: bool | None = None) -> None:
        """Remove an empty collection; `trash` as in `rm`."""
        trash = self.trash if trash is None else trash
        self._collections.remove(self._strip_protocol(path), recursive=False, trash=trash)

    def rm_file(self, path: str, trash: bool | None = None) -> None:
        """Remove one object; `trash` as in `rm`."""
        path = self._strip_protocol(path)
        if self.isdir(path):
            raise IsADirectoryError(errno.EISDIR, f"{path} is a collection. Remove it recursively")
        self._objects.remove(path, trash=self.trash if trash is None else trash)

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
            Whether they go to the zone's trash or are gone for good; None for what was set when
            the filesystem was made.
        """
        if maxdepth is not None:
            super().rm(path, recursive=recursive, maxdepth=maxdepth)
            return
        trash = self.trash if trash is None else trash
        for each in reversed(self.expand_path(path)):
            if not self._find(each).entry().is_collection:
                self._objects.remove(each, trash=trash)
            elif recursive:
                self._collections.remove(each, recursive=True, trash=trash)
            else:
                raise IsADirectoryError(
                    errno.EISDIR, f"{each} is a collection. Remove it recursively"
                )

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one object on the server, or make a collection where it is one."""
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        found = self._find(source)
        if found.entry().is_collection:
            self.makedirs(target, exist_ok=True)
        else:
            self._atomic_replace.copy(found, target)

    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        keep_metadata: bool = False,
        **kwargs: Any,
    ) -> None:
        """Rename an object or a whole collection; no data moves.

        A target that is a collection gets it inside. An object takes the place of another.

        Parameters
        ----------
        keep_metadata
            Whether an object whose place is taken leaves its metadata and access list to the other.
        """
        if not isinstance(path1, str) or not isinstance(path2, str) or self._is_pattern(path1):
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth)
            return
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        found = self._find(source)
        if path2.endswith("/") or (source != target and self.isdir(target)):
            target = f"{target.rstrip('/')}/{found.name}"
        if source == target:
            return
        if source.split("/")[1] != target.split("/")[1]:
            # No zone renames into another.
            super().mv(source, target, recursive=True)
        elif found.entry().is_collection:
            self._objects.rename(source, target, collection=True)
        else:
            self._atomic_replace.move_into_place(source, target, keep_metadata=keep_metadata)

    def _is_pattern(self, path: str) -> bool:
        """Tell whether a path means others; one that is there means itself, whatever its name."""
        return has_magic(path) and not self.exists(path)

    # Metadata

    def set_metadata(self, path: str, avus: Iterable[Avu]) -> None:
        """Make these all the metadata there is."""
        self._metadata.replace(self._strip_protocol(path), avus)

    def add_metadata(self, path: str, avus: Iterable[Avu]) -> None:
        """Add metadata; what is there already stays."""
        self._metadata.add(self._strip_protocol(path), avus)

    def remove_metadata(self, path: str, avus: Iterable[Avu]) -> None:
        """Remove metadata; what is not there is no error."""
        self._metadata.remove(self._strip_protocol(path), avus)

    # Content

    def stream_count(self, size: int) -> int:
        """Return the connections over which an object of a size is moved."""
        return self._streams.of(size)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        named: str | None = None,
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
        if mode == "xb" and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        return WriteFile(
            self,
            path,
            mode,
            atomic_replace=self._atomic_replace,
            block_size=block_size or BLOCK,
            autocommit=autocommit,
            named=named,
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
        """Make this the content."""
        with self.open(path, "xb" if mode == "create" else "wb") as file:
            view = memoryview(value)
            for start in range(0, len(view), BLOCK):
                file.write(view[start : start + BLOCK])

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty object, or only change the time of one that is there."""
        path = self._strip_protocol(path)
        if truncate or not self.exists(path):
            self.pipe_file(path, b"")
        else:
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
        """Store local files, several at a time; collections are made before what they hold."""
        plan = BulkTransferPlan(self)
        plan.put(lpath, rpath, recursive=recursive, maxdepth=maxdepth, **kwargs)

        def kind(pair: Pair) -> TransferKind:
            local = Path(pair[0])
            if local.is_dir():
                return TransferKind.FOLDER
            large = local.exists() and self.stream_count(local.stat().st_size) > 1
            return TransferKind.LARGE if large else TransferKind.SMALL

        def store(source: Any, target: Any, *, callback: Any) -> None:
            self.put_file(source, target, callback=callback, **kwargs)

        move(plan.pairs, store, kind, callback, self._streams.files)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Fetch objects into local files, several at a time."""
        plan = BulkTransferPlan(self)
        plan.get(rpath, lpath, recursive=recursive, maxdepth=maxdepth, **kwargs)

        def kind(pair: Pair) -> TransferKind:
            found = plan.found(pair[0])
            if found.get("type") == "directory":
                return TransferKind.FOLDER
            return (
                TransferKind.LARGE
                if self.stream_count(found.get("size", 0)) > 1
                else TransferKind.SMALL
            )

        def fetch(source: Any, target: Any, *, callback: Any) -> None:
            if plan.found(source).get("type") == "directory":
                Path(target).mkdir(parents=True, exist_ok=True)
            else:
                self.get_file(source, target, callback=callback, **kwargs)

        move(plan.pairs, fetch, kind, callback, self._streams.files)

    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Store one local file, or make a collection where it is a folder."""
        local, path = Path(lpath), self._strip_protocol(rpath)
        if local.is_dir():
            self.makedirs(path, exist_ok=True)
            return
        replace = mode != "create"
        if not replace and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        if (
            self.stream_count(local.stat().st_size) > 1
            and self.server_version >= REPLICA_TOKENS_SINCE
        ):
            upload(self._atomic_replace, self._streams, local, path, callback, replace=replace)
            return
        callback.set_size(local.stat().st_size)
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
        """Fetch one object into a local file, or make a folder where it is a collection."""
        path = self._strip_protocol(rpath)
        if outfile is not None or isfilelike(lpath):
            super().get_file(path, lpath, callback=callback, outfile=outfile)
            return
        try:
            download(self._objects, self._streams, path, Path(lpath), callback)
        except IsADirectoryError:
            Path(lpath).mkdir(parents=True, exist_ok=True)
