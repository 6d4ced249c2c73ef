"""Looking things up: one path, one page, one level, a whole tree; never a query per entry."""

from __future__ import annotations

import errno
import heapq
from itertools import groupby, islice

import msgspec

from nds_jupyter.data.entries import Page, Replica
from nds_jupyter.data.irods.beside import Beside
from nds_jupyter.data.irods.catalogue import Condition, Query, Row, ask, like
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
from nds_jupyter.data.irods.sessions import Session, Sessions

WHOLE = 5_000
"""Rows of one query where everything in a collection is wanted."""


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a listing has come: the last name of each kind; None when a kind is at its end."""

    collection: str | None = ""
    data_object: str | None = ""

    def text(self) -> str | None:
        """Write it; None at the end of both. Names hold no slash."""
        if self.collection is None and self.data_object is None:
            return None
        return "/".join(
            "*" if each is None else f"={each}"
            for each in (
                self.collection,
                self.data_object,
            )
        )

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Read what `text` wrote, or a plain name."""
        first, slash, second = text.partition("/")
        if not slash:
            return cls(collection=text, data_object=text)
        return cls(
            collection=None if first == "*" else first[1:],
            data_object=None if second == "*" else second[1:],
        )


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """What one query brought of one kind.

    Parameters
    ----------
    end
        The name up to which it was read; None if nothing follows.
    """

    found: tuple[Found, ...]
    end: str | None

    def read_up_to(self, shown: list[Found], before: str | None) -> str | None:
        """Return where to go on, given what of it was shown: the rest is asked for again."""
        known = set(map(id, self.found))
        taken = [each for each in shown if id(each) in known]
        if len(taken) == len(self.found):
            return self.end
        return taken[-1].name if taken else before


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
        collections, objects = self._both(path, cursor, limit, q)
        if not after and not q and not collections.found and not objects.found:
            self._check_collection(path)
        merged = heapq.merge(collections.found, objects.found, key=lambda each: each.name)
        shown = list(islice(merged, limit))
        following = Cursor(
            collection=collections.read_up_to(shown, cursor.collection),
            data_object=objects.read_up_to(shown, cursor.data_object),
        )
        return Page(entries=tuple(each.entry() for each in shown), next=following.text())

    def _both(self, path: str, cursor: Cursor, limit: int, q: str) -> tuple[Stretch, Stretch]:
        """Ask for both kinds at one time, as no query can ask for the two of them."""

        def collections() -> Stretch:
            return self._collections(path, cursor.collection, limit, q)

        if cursor.collection is None or cursor.data_object is None:
            return collections(), self._objects(path, cursor.data_object, limit, q)
        with Beside(collections) as other:
            objects = self._objects(path, cursor.data_object, limit, q)
            return other.result(), objects

    def _check_collection(self, path: str) -> None:
        if not self.find(path).entry().is_collection:
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is a data object, not a collection")

    def level(self, path: str) -> list[Found]:
        """Return all entries of a collection, or the object itself where the path is one."""
        found: list[Found] = []
        for read in (self._collections, self._objects):
            after: str | None = ""
            while after is not None:
                stretch = read(path, after, WHOLE, "")
                found += stretch.found
                after = stretch.end
        if not found:
            this = self.find(path)
            return [] if this.entry().is_collection else [this]
        return sorted(found, key=lambda each: each.path)

    def tree(self, path: str) -> list[Found]:
        """Return everything below a collection, with two queries."""
        inside = Condition("COLL_NAME", "like", f"{like(path.rstrip('/'))}/%")
        zone = _zone(path)

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
                    zone=_zone(path),
                ),
            ),
            path,
        )
        if not rows and self.find(path).entry().is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; only data objects have replicas"
            )
        return tuple(sorted((replica(row) for row in rows), key=lambda each: each.number))

    def _collections(self, path: str, after: str | None, limit: int, q: str) -> Stretch:
        if after is None:
            return Stretch(found=(), end=None)
        base = path.rstrip("/")
        where = [Condition("COLL_PARENT_NAME", "=", path)]
        if after:
            where.append(Condition("COLL_NAME", ">", f"{base}/{after}"))
        if q:
            where.append(Condition("COLL_NAME", "like", f"{like(base)}/%{like(q)}%"))
        rows = self._rows(COLLECTION_COLUMNS, where, "COLL_NAME", limit + 1, path)
        found = [collection(row) for row in rows[:limit]]
        return Stretch(
            # The root is its own parent.
            found=tuple(each for each in found if each.path != "/" and q in each.name),
            end=found[-1].name if len(rows) > limit else None,
        )

    def _objects(self, path: str, after: str | None, limit: int, q: str) -> Stretch:
        if after is None:
            return Stretch(found=(), end=None)
        where = [Condition("COLL_NAME", "=", path)]
        if after:
            where.append(Condition("DATA_NAME", ">", after))
        if q:
            where.append(Condition("DATA_NAME", "like", f"%{like(q)}%"))
        wanted = limit * self._replicas + 1
        rows = self._rows(OBJECT_COLUMNS, where, "DATA_NAME", wanted, path)
        ended = len(rows) < wanted
        by_name = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
        if not ended:
            # More replicas of the last one may follow.
            by_name.pop()
        self._replicas = max([self._replicas, *map(len, by_name)])
        if not ended and not by_name:
            self._replicas = max(self._replicas, len(rows)) * 2
            return self._objects(path, after, limit, q)
        found = [data_object(group, f"{path.rstrip('/')}/{group[0][0]}") for group in by_name]
        complete = ended and len(found) <= limit
        return Stretch(
            found=tuple(each for each in found[:limit] if q in each.name),
            end=None if complete else found[:limit][-1].name,
        )

    def _rows(
        self, select: tuple[str, ...], where: list[Condition], order: str, limit: int, path: str
    ) -> list[Row]:
        query = Query(
            select=select, where=tuple(where), order=(order,), limit=limit, zone=_zone(path)
        )
        return self._sessions.call(lambda session: ask(session, query), path)


def _look_up(session: Session, path: str) -> Found | None:
    zone = _zone(path)
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


def _zone(path: str) -> str:
    """Return whose catalogue knows a path; empty for the root, which every zone has."""
    return path.split("/")[1]
