"""Operations on data objects, collections and their metadata, one request each."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from irods import keywords as kw
from irods.api_number import api_number
from irods.exception import (
    CAT_NO_ROWS_FOUND,
    CAT_UNKNOWN_COLLECTION,
)
from irods.message import ObjCopyRequest, iRODSMessage

from nds_jupyter.data.irods.catalogue_queries import CatalogueEntry
from nds_jupyter.data.irods.collections import CollectionOperations
from nds_jupyter.data.irods.exceptions import FORBIDDEN, MISSING, ContentMissing, server_code
from nds_jupyter.data.irods.listing import Listing
from nds_jupyter.data.irods.object_descriptors import (
    CREATE,
    READ,
    TRUNCATE,
    WRITE,
    Descriptor,
    object_request,
)
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession

_BUSY_BACKOFF = (0.2, 1.0, 3.0)
"""Seconds between attempts on an object that a lost connection still has open."""

T = TypeVar("T")

_PUT, _COPY_TARGET, _COPY_SOURCE, _RENAME_OBJECT, _RENAME_COLLECTION = 1, 9, 10, 11, 12


class ObjectOperations:
    """Operations on the data objects of a zone.

    Parameters
    ----------
    auto_mkdir
        Whether writing makes the collections that a path needs.
    """

    def __init__(
        self,
        session_holder: SessionHolder,
        listing: Listing,
        collections: CollectionOperations,
        *,
        auto_mkdir: bool,
    ) -> None:
        self.session_holder = session_holder
        self.listing = listing
        self._collections = collections
        self._auto_mkdir = auto_mkdir

    def open(self, path: str) -> Descriptor:
        """Open an object to read; one that is being written for a moment is waited for."""

        def open_once() -> Descriptor:
            return self.session_holder.call(lambda session: Descriptor(session, path, READ), path)

        try:
            return _retry_while_busy(open_once)
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.EINVAL):
                raise
            entry = self.listing.find(path)
            if entry.is_collection:
                raise IsADirectoryError(
                    errno.EISDIR, f"{path} is a collection; only data objects have content"
                ) from None
            if entry.path == path:
                raise
        # It is there in the other Unicode form.
        return self.open(entry.path)

    def create(self, path: str, *, final_path: str, size: int = -1, streams: int = 1) -> Descriptor:
        """Open a new object, whose checksum is registered when it is closed.

        Parameters
        ----------
        final_path
            The path that it will be renamed to, for the sentence of an error.
        streams
            Connections that will write it.
        """
        options = {kw.REG_CHKSUM_KW: ""}
        if size >= 0:
            options[kw.DATA_SIZE_KW] = str(size)
        if streams > 1:
            options[kw.NUM_THREADS_KW] = str(streams)

        def create(session: ZoneSession) -> Descriptor:
            flags = WRITE | CREATE | TRUNCATE
            return Descriptor(session, path, flags, size=size, options=options)

        return self._with_collection(
            lambda: self.session_holder.call(create, final_path, subjects=(path,)), path, final_path
        )

    def open_parallel(
        self, path: str, *, final_path: str, size: int, options: dict[str, str]
    ) -> Descriptor:
        """Open an object that another descriptor writes, to write another part of it."""
        return self.session_holder.call(
            lambda session: Descriptor(
                session, path, WRITE, size=size, options=options, finalize=False
            ),
            final_path,
            subjects=(path,),
        )

    def reopen(self, path: str, *, final_path: str) -> Descriptor:
        """Open an object to resume writing after a lost connection, or to append."""
        options = {kw.REG_CHKSUM_KW: ""}

        def reopen() -> Descriptor:
            return self.session_holder.call(
                lambda session: Descriptor(session, path, WRITE, options=options),
                final_path,
                subjects=(path,),
            )

        return _retry_while_busy(reopen)

    def checksum(self, path: str) -> str:
        """Return the checksum; the server computes and registers it if it has none."""
        entry = self.listing.find(path)
        if entry.is_collection:
            raise IsADirectoryError(errno.EISDIR, f"{path} is a collection; it has no checksum")
        if entry.checksum:
            return entry.checksum

        def compute(session: ZoneSession) -> str:
            with session.pool.without_deadline():
                return str(session.data_objects.chksum(entry.path))

        return self.session_holder.call(compute, path)

    def rename(self, source: str, target: str, *, collection: bool = False) -> None:
        """Rename one object or collection to an unused path."""
        kind = _RENAME_COLLECTION if collection else _RENAME_OBJECT
        body = ObjCopyRequest(
            srcDataObjInp_PI=object_request(source, operation=kind),
            destDataObjInp_PI=object_request(target, operation=kind),
        )
        self.session_holder.call(
            lambda session: _send_request(session, body, "DATA_OBJ_RENAME_AN"),
            target,
            repeatable=False,
        )

    def _expect_free(self, source: CatalogueEntry, target: str) -> None:
        """Refuse a target of a move that the server would stumble over halfway."""
        if target.startswith(f"{source.path}/"):
            raise OSError(errno.EINVAL, f"{source.path} can't be moved below itself, to {target}")
        with contextlib.suppress(FileNotFoundError):
            there = self.listing.find(target)
            if source.is_collection or there.is_collection:
                raise FileExistsError(errno.EEXIST, f"{target} exists already")
            # An object takes the place of another, whose collection is there then.
            return
        parent = target.rpartition("/")[0] or "/"
        try:
            is_collection = self.listing.find(parent).is_collection
        except FileNotFoundError as exc:
            raise FileNotFoundError(
                errno.ENOENT, f"There is no collection {parent} for {target}. Make it first"
            ) from exc
        if not is_collection:
            raise NotADirectoryError(
                errno.ENOTDIR, f"{parent} is a data object; {target} can't be below it"
            )

    @contextlib.contextmanager
    def moving(self, source: CatalogueEntry, target: str) -> Iterator[None]:
        """Look at a target before a block moves something to it, and explain errors of the block.

        Its collection being known to be there, what the server tells as missing is something else.
        """
        self._expect_free(source, target)
        try:
            yield
        except FileNotFoundError as exc:
            code = server_code(exc.__cause__) if exc.__cause__ else 0
            if code == CAT_NO_ROWS_FOUND.code:
                raise MISSING.error(source.path) from exc
            if code == CAT_UNKNOWN_COLLECTION.code:
                # The server tells a collection that the account may not change as unknown.
                raise FORBIDDEN.error(target) from exc
            raise

    def put(
        self, path: str, content: bytes, checksum: str, *, final_path: str, over: str = ""
    ) -> None:
        """Write a whole object by one request: the server has all of it before it begins.

        Parameters
        ----------
        checksum
            Of the content; the server compares, and registers it.
        final_path
            The path that it will be renamed to, for the sentence of an error.
        over
            Resource of the object that is written over; empty where there must be none.

        Raises
        ------
        FileExistsError
            If there is an object that is not to be written over.
        """
        options = {kw.DATA_INCLUDED_KW: "", kw.VERIFY_CHKSUM_KW: checksum}
        body = object_request(
            path,
            operation=_PUT,
            options=self._destination(options, over),
            size=len(content),
        )
        message = iRODSMessage(
            "RODS_API_REQ", msg=body, bs=content, int_info=api_number["DATA_OBJ_PUT_AN"]
        )

        def put() -> None:
            self.session_holder.call(
                lambda session: _request(session, message), final_path, subjects=(path,)
            )

        self._with_collection(lambda: _retry_while_busy(put), path, final_path)

    def copy(self, source: CatalogueEntry, target: str, *, final_path: str, over: str = "") -> None:
        """Copy one object on the server, without a transfer of its data to the client.

        The server takes whatever the source's file holds now. It compares the copy with the
        registered checksum, or a damaged object would become one that looks sound.

        Parameters
        ----------
        over
            Resource of the object that is written over; empty where there must be none.
        """
        register = {kw.VERIFY_CHKSUM_KW: source.checksum} if source.checksum else {}
        options = register or {kw.REG_CHKSUM_KW: ""}
        body = ObjCopyRequest(
            srcDataObjInp_PI=object_request(source.path, operation=_COPY_SOURCE),
            destDataObjInp_PI=object_request(
                target, operation=_COPY_TARGET, options=self._destination(options, over)
            ),
        )

        def copy() -> None:
            self.session_holder.call(
                lambda session: _send_request(session, body, "DATA_OBJ_COPY_AN"),
                f"{source.path} to {final_path}",
                repeatable=False,
                subjects=(source.path, target),
            )

        self._with_collection(lambda: _retry_while_busy(copy), target, final_path)

    def _destination(self, options: dict[str, str], over: str) -> dict[str, str]:
        """Add where an object is written, and whether it may be written over."""
        resource = over or self.session_holder.account.default_resource
        force = {kw.FORCE_FLAG_KW: ""} if over else {}
        return options | force | ({kw.DEST_RESC_NAME_KW: resource} if resource else {})

    def remove(self, path: str, *, trash: bool) -> None:
        """Remove one object; one without a file in the storage has nothing for the trash."""
        try:
            self._unlink(path, trash=trash)
        except ContentMissing:
            self._unlink(path, trash=False)

    def _unlink(self, path: str, *, trash: bool) -> None:
        self.session_holder.call(
            lambda session: session.data_objects.unlink(path, force=not trash),
            path,
            repeatable=False,
        )

    def move_to_trash(self, path: str) -> None:
        """Rename an object into the account's trash, where the zone forbids to remove it."""
        account = self.session_holder.account
        name = path.rpartition("/")[2]
        self.rename(path, f"/{account.zone}/trash/home/{account.acting_user}/{name}")

    def remove_quietly(self, path: str) -> None:
        """Remove a temporary object for good; an error is ignored."""
        with contextlib.suppress(OSError):
            _retry_while_busy(lambda: self.remove(path, trash=False))

    def _with_collection(self, create: Callable[[], T], path: str, final_path: str) -> T:
        """Create an object; its collection is made first if it is missing."""
        try:
            return create()
        except FileNotFoundError as exc:
            parent = path.rpartition("/")[0]
            if not self._auto_mkdir:
                raise FileNotFoundError(
                    errno.ENOENT, f"There is no collection {parent} for {final_path}. Make it first"
                ) from exc
            self._collections.make(parent, parents=True, exist_ok=True)
            return create()


def _retry_while_busy(operation: Callable[[], T]) -> T:
    """Retry an operation on an object that the server keeps open for a lost connection."""
    for pause in _BUSY_BACKOFF:
        try:
            return operation()
        except OSError as exc:
            if exc.errno != errno.EBUSY:
                raise
        time.sleep(pause)
    return operation()


def _send_request(session: ZoneSession, body: Any, api: str) -> None:
    """Send a request whose reply may take as long as the data is large."""
    with session.pool.without_deadline():
        _request(session, iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number[api]))


def _request(session: ZoneSession, message: iRODSMessage) -> None:
    with session.pool.get_connection() as conn:
        conn.send(message)
        conn.recv()
