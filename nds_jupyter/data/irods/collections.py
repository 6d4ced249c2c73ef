"""Operations that change collections, safe against others who make the same ones."""

from __future__ import annotations

import errno

from irods.api_number import api_number
from irods.exception import CAT_NAME_EXISTS_AS_DATAOBJ, CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
from irods.message import CollectionRequest, StringStringMap, iRODSMessage

from nds_jupyter.data.irods.exceptions import NOT_A_COLLECTION
from nds_jupyter.data.irods.listing import Listing, look_alike_error
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession


class CollectionOperations:
    """Operations that change the collections of a zone.

    Parameters
    ----------
    listing
        Tells which collections are there.
    """

    def __init__(self, session_holder: SessionHolder, listing: Listing) -> None:
        self._session_holder = session_holder
        self._listing = listing

    def make(self, path: str, *, parents: bool, exist_ok: bool) -> None:
        """Make a collection.

        Those above it are made one by one. The server can do that by one request, but answers with
        success where it stopped because another client made one of them at that moment.

        Parameters
        ----------
        parents
            Whether the collections above it are made too.
        exist_ok
            Whether one that is there already is no error.
        """
        missing = self._missing(path) if parents or exist_ok else [path]
        if not missing and not exist_ok:
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        for each in missing if parents else missing[-1:]:
            self._make_one(each, for_path=path, exist_ok=exist_ok or each != path)

    def _missing(self, path: str) -> list[str]:
        """Return the collections that are not there, from the topmost to the path itself."""
        missing: list[str] = []
        # The zone itself is always there.
        while path.count("/") > 1 or not missing:
            try:
                entry = self._listing.find(path)
            except FileNotFoundError:
                missing.insert(0, path)
                path = path.rpartition("/")[0] or "/"
                continue
            if entry.path != path:
                raise look_alike_error(path, entry.path)
            if not entry.is_collection:
                raise (
                    NOT_A_COLLECTION.error(path)
                    if missing
                    else FileExistsError(errno.EEXIST, f"{path} exists already")
                )
            break
        return missing

    def _make_one(self, path: str, *, for_path: str, exist_ok: bool) -> None:
        body = CollectionRequest(collName=path, KeyValPair_PI=StringStringMap({}))
        message = iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number["COLL_CREATE_AN"])
        attempts = 0

        def create(session: ZoneSession) -> None:
            nonlocal attempts
            attempts += 1
            try:
                # The client's own looks the collection up afterwards, which costs a query.
                with session.pool.get_connection() as conn:
                    conn.send(message)
                    conn.recv()
            except CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME:
                # Another client made it, or an attempt whose reply was lost.
                if not exist_ok and attempts == 1:
                    raise
            except CAT_NAME_EXISTS_AS_DATAOBJ:
                raise NOT_A_COLLECTION.error(path) from None

        # The sentence of an error names what was asked for, not a collection above it.
        self._session_holder.call(create, for_path)

    def remove(self, path: str, *, recursive: bool, trash: bool) -> None:
        """Remove a collection, with all that it holds if `recursive`."""

        def remove(session: ZoneSession) -> None:
            with session.pool.without_deadline():
                session.collections.remove(path, recurse=recursive, force=not trash)

        try:
            self._session_holder.call(remove, path, repeatable=False)
        except OSError as exc:
            if not recursive or exc.errno != errno.ENOTEMPTY:
                raise
            # The server goes on after what it can't remove, and ends with this.
            raise OSError(
                errno.EBUSY,
                f"{path} holds something that is being written, so that not all of it is removed. "
                "Try again later",
            ) from exc
