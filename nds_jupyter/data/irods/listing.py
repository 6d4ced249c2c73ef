"""Looking things up: one path, one page, one level, a whole tree; never a query per entry."""

from __future__ import annotations

import errno
from itertools import groupby

from nds_jupyter.data.entries import Page, Replica
from nds_jupyter.data.irods.catalogue import Condition, Query, Row, ask, ask_together, like
from nds_jupyter.data.irods.found import (
    COLLECTION_COLUMNS,
    OBJECT_COLUMNS,
    REPLICA_COLUMNS,
    Found,
    collection,
    data_object,
    data_objects,
    replica,
)
from nds_jupyter.data.irods.names import zone_of
from nds_jupyter.data.irods.paging import Asked, Cursor, Stretch, merged
from nds_jupyter.data.irods.sessions import Session, Sessions

WHOLE = 5_000
"""Rows of one query where everything in a collection is wanted."""


class Listing:
    """What is where.

    Parameters
    ----------
    sessions
        Of the account that looks.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        # Rows a data object has, as far as seen: a page asks for that many times its entries.
        self._replicas = 1

    def find(self, path: str) -> Found:
        """Return what is at a path; FileNotFoundError if there is nothing to see."""
        found = self._sessions.call(lambda session: _look_up(session, path), path)
        if found is None:
            raise FileNotFoundError(
                errno.ENOENT, f"There is no {path}, or it is not shared with you"
            )
        return found

    def page(self, path: str, after: str, limit: int, q: str) -> Page:
        """Return at most `limit` entries of a collection; see `IrodsFileSystem.ls_page`."""
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1.")
        cursor = Cursor.read(after)
        asked = Asked(path=path, limit=limit, q=q, dated=False)
        collections, objects = self._both(asked, cursor)
        if not after and not q and not collections.found and not objects.found:
            self._check_collection(path)
        return merged(cursor, collections, objects, limit)

    def _both(self, asked: Asked, cursor: Cursor) -> tuple[Stretch, Stretch]:
        """Ask for what follows of both kinds, at one time: no query can ask for both."""
        replicas = self._replicas
        queries = (
            None if cursor.data_object is None else asked.objects(cursor.data_object, replicas),
            None if cursor.collection is None else asked.collections(cursor.collection),
        )
        objects, collections = self._sessions.call(
            lambda session: ask_together(session, queries), asked.path
        )
        return (
            asked.collections_of(collections),
            self._objects_of(asked, cursor.data_object or "", objects, replicas),
        )

    def _objects_of(self, asked: Asked, after: str, rows: list[Row], replicas: int) -> Stretch:
        """Read rows of objects; ask again where one has more of them than was thought."""
        while (found := asked.objects_of(rows, replicas)) is None:
            replicas = 2 * len(rows)
            rows = self._rows(asked.objects(after, replicas), asked.path)
        self._replicas = max(self._replicas, found.rows)
        return found

    def _check_collection(self, path: str) -> None:
        if not self.find(path).entry().is_collection:
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is a data object, not a collection")

    def level(self, path: str) -> list[Found]:
        """Return all entries of a collection, or the object itself where the path is one."""
        asked = Asked(path=path, limit=WHOLE)
        found: list[Found] = []
        after: str | None = ""
        while after is not None:
            stretch = asked.collections_of(self._rows(asked.collections(after), path))
            found += stretch.found
            after = stretch.end
        after = ""
        while after is not None:
            replicas = self._replicas
            rows = self._rows(asked.objects(after, replicas), path)
            stretch = self._objects_of(asked, after, rows, replicas)
            found += stretch.found
            after = stretch.end
        if not found:
            this = self.find(path)
            return [] if this.entry().is_collection else [this]
        return sorted(found, key=lambda each: each.path)

    def tree(self, path: str) -> list[Found]:
        """Return everything below a collection, with two queries."""
        inside = Condition("COLL_NAME", "like", f"{like(path.rstrip('/'))}/%")
        zone = zone_of(path)

        def collections(session: Session) -> list[Row]:
            return ask(session, Query(select=COLLECTION_COLUMNS, where=(inside,), zone=zone))

        def objects(session: Session, where: Condition) -> list[Row]:
            order = ("COLL_NAME", "DATA_NAME")
            select = ("COLL_NAME", *OBJECT_COLUMNS)
            return ask(session, Query(select=select, where=(where,), order=order, zone=zone))

        here = Condition("COLL_NAME", "=", path)
        found = [collection(row) for row in self._sessions.call(collections, path)]
        rows = self._sessions.call(lambda session: objects(session, here), path)
        if found:
            rows += self._sessions.call(lambda session: objects(session, inside), path)
        for parent, group in groupby(rows, key=lambda row: row[0]):
            found += data_objects((row[1:] for row in group), parent)
        prefix = path.rstrip("/") + "/"
        return sorted(
            (each for each in found if each.path.startswith(prefix)), key=lambda each: each.path
        )

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the copies of a data object."""
        rows = self._sessions.call(
            lambda session: ask(
                session,
                Query(
                    select=REPLICA_COLUMNS,
                    where=_object_conditions(path),
                    order=("DATA_REPL_NUM",),
                    limit=WHOLE,
                    zone=zone_of(path),
                ),
            ),
            path,
        )
        if not rows and self.find(path).entry().is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; only data objects have replicas"
            )
        return tuple(sorted((replica(row) for row in rows), key=lambda each: each.number))

    def _rows(self, query: Query, path: str) -> list[Row]:
        return self._sessions.call(lambda session: ask(session, query), path)


def _look_up(session: Session, path: str) -> Found | None:
    zone = zone_of(path)
    if path.count("/") > 1:
        objects = Query(
            select=OBJECT_COLUMNS, where=_object_conditions(path), limit=WHOLE, zone=zone
        )
        if rows := ask(session, objects):
            return data_object(rows, path)
    where = (Condition("COLL_NAME", "=", path),)
    collections = Query(select=COLLECTION_COLUMNS, where=where, limit=1, zone=zone)
    rows = ask(session, collections)
    return collection(rows[0]) if rows else None


def _object_conditions(path: str) -> tuple[Condition, ...]:
    parent, _, name = path.rpartition("/")
    return Condition("COLL_NAME", "=", parent or "/"), Condition("DATA_NAME", "=", name)
