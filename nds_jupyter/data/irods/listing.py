"""Listing of paths, pages and trees without a query for each entry."""

from __future__ import annotations

import errno
import heapq
from itertools import groupby, islice

import msgspec

from nds_jupyter.data.entries import EntryPage, Replica
from nds_jupyter.data.irods.catalogue import (
    COLLECTION_COLUMNS,
    OBJECT_COLUMNS,
    REPLICA_COLUMNS,
    CatalogueEntry,
    Condition,
    Query,
    Row,
    collection,
    data_object,
    data_objects_from_rows,
    like_pattern,
    replica,
    run_queries,
    run_query,
    zone_of,
)
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession


class ListingCursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a listing has come: the last name of each kind; None when a kind is at its end."""

    collection: str | None = ""
    data_object: str | None = ""

    def text(self) -> str | None:
        """Write it; None at the end of both. Names hold no slash."""
        if self.collection is None and self.data_object is None:
            return None
        return "/".join(
            "*" if each is None else f"={each}" for each in (self.collection, self.data_object)
        )

    @classmethod
    def read(cls, text: str) -> ListingCursor:
        """Read what `text` wrote, or a plain name."""
        first, slash, second = text.partition("/")
        if not slash:
            return cls(collection=text, data_object=text)
        return cls(
            collection=None if first == "*" else first[1:],
            data_object=None if second == "*" else second[1:],
        )


class PageRange(msgspec.Struct, frozen=True, kw_only=True):
    """What one query brought of one kind.

    Parameters
    ----------
    end
        The name up to which it was read; None if nothing follows.
    rows
        Of the catalogue, of the one object that has the most of them: its replicas.
    """

    found: tuple[CatalogueEntry, ...] = ()
    end: str | None = None
    rows: int = 1

    def resume_after(self, shown: list[CatalogueEntry], before: str | None) -> str | None:
        """Return where to go on, given what of it was shown: the rest is asked for again."""
        known = set(map(id, self.found))
        taken = [each for each in shown if id(each) in known]
        if len(taken) == len(self.found):
            return self.end
        return taken[-1].name if taken else before


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a collection.

    Parameters
    ----------
    limit
        Most entries wanted of one kind.
    q
        What a name must contain.
    with_created
        Whether it matters when they were made.
    """

    path: str
    limit: int
    q: str = ""
    with_created: bool = True

    def collections(self, after: str) -> Query:
        """Ask for collections after a name."""
        base = self.path.rstrip("/")
        where = [Condition("COLL_PARENT_NAME", "=", self.path)]
        if after:
            where.append(Condition("COLL_NAME", ">", f"{base}/{after}"))
        if self.q:
            where.append(
                Condition("COLL_NAME", "like", f"{like_pattern(base)}/%{like_pattern(self.q)}%")
            )
        return self._query(COLLECTION_COLUMNS, where, self.limit + 1)

    def objects(self, after: str, replicas: int) -> Query:
        """Ask for data objects after a name, of which each may have so many rows."""
        where = [Condition("COLL_NAME", "=", self.path)]
        if after:
            where.append(Condition("DATA_NAME", ">", after))
        if self.q:
            where.append(Condition("DATA_NAME", "like", f"%{like_pattern(self.q)}%"))
        return self._query(OBJECT_COLUMNS, where, self.limit * replicas + 1)

    def _query(self, columns: tuple[str, ...], where: list[Condition], limit: int) -> Query:
        return Query(
            # The last column says when it was made; every column costs server and client time.
            select=columns if self.with_created else columns[:-1],
            where=tuple(where),
            order=columns[:1],
            limit=limit,
            zone=zone_of(self.path),
        )

    def parse_collections(self, rows: list[Row]) -> PageRange:
        """Read the answer to `collections`."""
        found = [collection(row) for row in rows[: self.limit]]
        return PageRange(
            # The root is its own parent.
            found=tuple(each for each in found if each.path != "/" and self.q in each.name),
            end=found[-1].name if len(rows) > self.limit else None,
        )

    def parse_objects(self, rows: list[Row], replicas: int) -> PageRange | None:
        """Read the answer to `objects`; None if one object has more rows than were asked for."""
        ended = len(rows) <= self.limit * replicas
        by_name = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
        if not ended:
            # More replicas of the last one may follow.
            by_name.pop()
            if not by_name:
                return None
        base = self.path.rstrip("/")
        found = [data_object(group, f"{base}/{group[0][0]}") for group in by_name[: self.limit]]
        complete = ended and len(by_name) <= self.limit
        return PageRange(
            found=tuple(each for each in found if self.q in each.name),
            end=None if complete else found[-1].name,
            rows=max(map(len, by_name), default=1),
        )


def merge_pages(
    cursor: ListingCursor, collections: PageRange, objects: PageRange, limit: int
) -> EntryPage:
    """Return the page of both kinds, in one order of names."""
    both = heapq.merge(collections.found, objects.found, key=lambda each: each.name)
    shown = list(islice(both, limit))
    following = ListingCursor(
        collection=collections.resume_after(shown, cursor.collection),
        data_object=objects.resume_after(shown, cursor.data_object),
    )
    return EntryPage(entries=tuple(each.entry() for each in shown), next=following.text())


ALL_ENTRIES_LIMIT = 5_000
"""Rows of one query where everything in a collection is wanted."""


class Listing:
    """What is where.

    Parameters
    ----------
    sessions
        Of the account that looks.
    """

    def __init__(self, sessions: SessionHolder) -> None:
        self._session_holder = sessions
        # Rows a data object has, as far as seen: a page asks for that many times its entries.
        self._replicas = 1

    def find(self, path: str) -> CatalogueEntry:
        """Return what is at a path; FileNotFoundError if there is nothing to see."""
        found = self._session_holder.call(lambda session: _look_up(session, path), path)
        if found is None:
            raise FileNotFoundError(
                errno.ENOENT, f"There is no {path}, or it is not shared with you"
            )
        return found

    def page(self, path: str, after: str, limit: int, q: str) -> EntryPage:
        """Return at most `limit` entries of a collection; see `IrodsFileSystem.ls_page`."""
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1.")
        cursor = ListingCursor.read(after)
        asked = PageQuery(path=path, limit=limit, q=q, with_created=False)
        collections, objects = self._query_both_kinds(asked, cursor)
        if not after and not q and not collections.found and not objects.found:
            self._expect_collection(path)
        return merge_pages(cursor, collections, objects, limit)

    def _query_both_kinds(
        self, asked: PageQuery, cursor: ListingCursor
    ) -> tuple[PageRange, PageRange]:
        """Ask for what follows of both kinds, at one time: no query can ask for both."""
        replicas = self._replicas
        queries = (
            None if cursor.data_object is None else asked.objects(cursor.data_object, replicas),
            None if cursor.collection is None else asked.collections(cursor.collection),
        )
        objects, collections = self._session_holder.call(
            lambda session: run_queries(session, queries), asked.path
        )
        return (
            asked.parse_collections(collections),
            self._parse_objects(asked, cursor.data_object or "", objects, replicas),
        )

    def _parse_objects(
        self, asked: PageQuery, after: str, rows: list[Row], replicas: int
    ) -> PageRange:
        """Read rows of objects; ask again where one has more of them than was thought."""
        while (found := asked.parse_objects(rows, replicas)) is None:
            replicas = 2 * len(rows)
            rows = self._rows(asked.objects(after, replicas), asked.path)
        self._replicas = max(self._replicas, found.rows)
        return found

    def _expect_collection(self, path: str) -> None:
        if not self.find(path).entry().is_collection:
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is a data object, not a collection")

    def list_all(self, path: str) -> list[CatalogueEntry]:
        """Return all entries of a collection, or the object itself where the path is one."""
        asked = PageQuery(path=path, limit=ALL_ENTRIES_LIMIT)
        found: list[CatalogueEntry] = []
        after: str | None = ""
        while after is not None:
            stretch = asked.parse_collections(self._rows(asked.collections(after), path))
            found += stretch.found
            after = stretch.end
        after = ""
        while after is not None:
            replicas = self._replicas
            rows = self._rows(asked.objects(after, replicas), path)
            stretch = self._parse_objects(asked, after, rows, replicas)
            found += stretch.found
            after = stretch.end
        if not found:
            this = self.find(path)
            return [] if this.entry().is_collection else [this]
        return sorted(found, key=lambda each: each.path)

    def list_tree(self, path: str) -> list[CatalogueEntry]:
        """Return everything below a collection, with two queries."""
        inside = Condition("COLL_NAME", "like", f"{like_pattern(path.rstrip('/'))}/%")
        zone = zone_of(path)

        def collections(session: ZoneSession) -> list[Row]:
            return run_query(session, Query(select=COLLECTION_COLUMNS, where=(inside,), zone=zone))

        def objects(session: ZoneSession, where: Condition) -> list[Row]:
            order = ("COLL_NAME", "DATA_NAME")
            select = ("COLL_NAME", *OBJECT_COLUMNS)
            return run_query(session, Query(select=select, where=(where,), order=order, zone=zone))

        here = Condition("COLL_NAME", "=", path)
        found = [collection(row) for row in self._session_holder.call(collections, path)]
        rows = self._session_holder.call(lambda session: objects(session, here), path)
        if found:
            rows += self._session_holder.call(lambda session: objects(session, inside), path)
        for parent, group in groupby(rows, key=lambda row: row[0]):
            found += data_objects_from_rows((row[1:] for row in group), parent)
        prefix = path.rstrip("/") + "/"
        return sorted(
            (each for each in found if each.path.startswith(prefix)), key=lambda each: each.path
        )

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the copies of a data object."""
        rows = self._session_holder.call(
            lambda session: run_query(
                session,
                Query(
                    select=REPLICA_COLUMNS,
                    where=_object_conditions(path),
                    order=("DATA_REPL_NUM",),
                    limit=ALL_ENTRIES_LIMIT,
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
        return self._session_holder.call(lambda session: run_query(session, query), path)


def _look_up(session: ZoneSession, path: str) -> CatalogueEntry | None:
    zone = zone_of(path)
    if path.count("/") > 1:
        objects = Query(
            select=OBJECT_COLUMNS,
            where=_object_conditions(path),
            limit=ALL_ENTRIES_LIMIT,
            zone=zone,
        )
        if rows := run_query(session, objects):
            return data_object(rows, path)
    where = (Condition("COLL_NAME", "=", path),)
    collections = Query(select=COLLECTION_COLUMNS, where=where, limit=1, zone=zone)
    rows = run_query(session, collections)
    return collection(rows[0]) if rows else None


def _object_conditions(path: str) -> tuple[Condition, ...]:
    parent, _, name = path.rpartition("/")
    return Condition("COLL_NAME", "=", parent or "/"), Condition("DATA_NAME", "=", name)
