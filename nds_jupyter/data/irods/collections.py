"""Making and removing collections."""

from __future__ import annotations

from irods import keywords as kw
from irods.api_number import api_number
from irods.message import CollectionRequest, StringStringMap, iRODSMessage

from nds_jupyter.data.irods.sessions import Session, Sessions


class Collections:
    """The collections of a zone, as far as they change."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def make(self, path: str, *, parents: bool) -> None:
        """Make a collection; one that is there already is no error to iRODS."""
        options = {kw.RECURSIVE_OPR__KW: ""} if parents else {}
        body = CollectionRequest(collName=path, KeyValPair_PI=StringStringMap(options))

        def create(session: Session) -> None:
            # The client's own looks the collection up afterwards, which costs a query.
            with session.pool.get_connection() as conn:
                conn.send(
                    iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number["COLL_CREATE_AN"])
                )
                conn.recv()

        self._sessions.call(create, path)

    def remove(self, path: str, *, recursive: bool, trash: bool) -> None:
        """Remove a collection, with all that it holds if `recursive`."""

        def remove(session: Session) -> None:
            with session.pool.without_deadline():
                session.collections.remove(path, recurse=recursive, force=not trash)

        self._sessions.call(remove, path, repeatable=False)
