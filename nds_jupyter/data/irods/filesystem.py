"""`IrodsFileSystem`: an iRODS zone as fsspec knows filesystems."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from glob import has_magic
from typing import Any

from fsspec.utils import stringify_path

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods.atomic_replace import AtomicReplace
from nds_jupyter.data.irods.config import Account
from nds_jupyter.data.irods.content_operations import ContentOperations
from nds_jupyter.data.irods.listing import Listing
from nds_jupyter.data.irods.metadata import MetadataOperations
from nds_jupyter.data.irods.objects import CollectionOperations, ObjectOperations
from nds_jupyter.data.irods.paths import PROTOCOL, authority, logical_path
from nds_jupyter.data.irods.sessions import SessionTimeouts, shared_sessions
from nds_jupyter.data.irods.transfer import TransferStreams


class IrodsFileSystem(ContentOperations):
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
        self._sessions = shared_sessions(
            options, SessionTimeouts(timeout=timeout, patience=patience)
        )
        self._listing = Listing(self._sessions)
        self._collections = CollectionOperations(self._sessions)
        self._objects = ObjectOperations(
            self._sessions, self._listing, self._collections, auto_mkdir=auto_mkdir
        )
        self._placing = AtomicReplace(self._objects)
        self._metadata = MetadataOperations(self._sessions, self._listing)
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
        return self._sessions.account

    @property
    def zone(self) -> str:
        """The zone that this connects to."""
        return self._sessions.account.zone

    @property
    def user(self) -> str:
        """The account's name."""
        return self._sessions.account.user

    @property
    def home(self) -> str:
        """The account's home collection."""
        return self._sessions.account.home

    @property
    def fsid(self) -> str:
        """What tells this zone from others."""
        account = self._sessions.account
        return f"irods-{account.host}-{account.port}-{account.zone}"

    @property
    def server_version(self) -> tuple[int, ...]:
        """The version of the server, which it is asked for once."""
        return self._sessions.call(lambda session: session.server_version, self.home)

    def close(self) -> None:
        """Close the idle connections; the next call opens others."""
        self._sessions.close()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return logical_path(stringify_path(path))

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return authority(path)

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
            self._placing.copy(found, target)

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
            self._placing.place(source, target, keep_metadata=keep_metadata)

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
