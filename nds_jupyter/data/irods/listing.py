"""Listing of paths, pages and trees, without a query for each entry."""

from __future__ import annotations

import errno
import heapq
from itertools import groupby, islice

import msgspec

from nds_jupyter.data.entries import EntryPage, Replica
from nds_jupyter.data.irods.catalogue_queries import (
    COLLECTION_COLUMNS,
    OBJECT_COLUMNS,
    REPLICA_COLUMNS,
    CatalogueEntry,
    Condition,
    Query,
    Row,
    collection_from_row,
    data_object_from_rows,
    data_objects_from_rows,
    like_pattern,
    replica_from_row,
    run_queries,
    run_query,
    zone_of,
)
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession


class ListingCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Position in a listing: the last name read of each kind, None at the end of a kind."""

    collection: str | None = ""
    data_object: str | None = ""

    def encode(self) -> str | None:
        """Return it as a string, None at the end of both kinds. Names hold no slash."""
        if self.collection is None and self.data_object is None:
            return None
        return "/".join(
            "*" if each is None else f"={each}" for each in (self.collection, self.data_object)
        )

    @classmethod
    def decode(cls, text: str) -> ListingCursor:
        """Parse what `encode` returned, or a plain name."""
        first, slash, second = text.partition("/")
        if not slash:
            return cls(collection=text, data_object=text)
        return cls(
            collection=None if first == "*" else first[1:],
            data_object=None if second == "*" else second[1:],
        )


class PageRange(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one kind that one query returned, in the order of names.

    Parameters
    ----------
    last_name
        The last name that was read; None if nothing follows.
    max_replicas
        Replicas of the object that has the most of them; each is a row of the catalogue.
    """

    entries: tuple[CatalogueEntry, ...] = ()
    last_name: str | None = None
    max_replicas: int = 1

    def resume_after(self, shown: list[CatalogueEntry], before: str | None) -> str | None:
        """Return the name after which the next page begins; entries not shown are read again."""
        own = set(map(id, self.entries))
        own_shown = [each for each in shown if id(each) in own]
        if len(own_shown) == len(self.entries):
            return self.last_name
        return own_shown[-1].name if own_shown else before


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Queries for one page of a collection.

    Parameters
    ----------
    limit
        Most entries of one kind.
    q
        What a name must contain.
    with_created
        Whether the time of creation is selected.
    """

    path: str
    limit: int
    q: str = ""
    with_created: bool = True

    def collection_query(self, after: str) -> Query:
        """Return the query for collections after a name."""
        base = self.path.rstrip("/")
        where = [Condition("COLL_PARENT_NAME", "=", self.path)]
        if after:
            where.append(Condition("COLL_NAME", ">", f"{base}/{after}"))
        if self.q:
            where.append(
                Condition("COLL_NAME", "like", f"{like_pattern(base)}/%{like_pattern(self.q)}%")
            )
        return self._query(COLLECTION_COLUMNS, where, self.limit + 1)

    def object_query(self, after: str, replicas: int) -> Query:
        """Return the query for data objects after a name, each with at most so many replicas."""
        where = [Condition("COLL_NAME", "=", self.path)]
        if after:
            where.append(Condition("DATA_NAME", ">", after))
        if self.q:
            where.append(Condition("DATA_NAME", "like", f"%{like_pattern(self.q)}%"))
        return self._query(OBJECT_COLUMNS, where, self.limit * replicas + 1)

    def _query(self, columns: tuple[str, ...], where: list[Condition], limit: int) -> Query:
        return Query(
            # The last column is the time of creation; every column costs server and client time.
            select=columns if self.with_created else columns[:-1],
            where=tuple(where),
            order=columns[:1],
            limit=limit,
            zone=zone_of(self.path),
        )

    def parse_collections(self, rows: list[Row]) -> PageRange:
        """Parse the rows of `collection_query`."""
        collections = [collection_from_row(row) for row in rows[: self.limit]]
        return PageRange(
            # The root is its own parent.
            entries=tuple(each for each in collections if each.path != "/" and self.q in each.name),
            last_name=collections[-1].name if len(rows) > self.limit else None,
        )

    def parse_objects(self, rows: list[Row], replicas: int) -> PageRange | None:
        """Parse the rows of `object_query`; None if one object has more rows than its limit."""
        is_last_page = len(rows) <= self.limit * replicas
        by_name = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
        if not is_last_page:
            # More replicas of the last object may follow.
            by_name.pop()
            if not by_name:
                return None
        base = self.path.rstrip("/")
        objects = [
            data_object_from_rows(group, f"{base}/{group[0][0]}") for group in by_name[: self.limit]
        ]
        complete = is_last_page and len(by_name) <= self.limit
        return PageRange(
            entries=tuple(each for each in objects if self.q in each.name),
            last_name=None if complete else objects[-1].name,
            max_replicas=max(map(len, by_name), default=1),
        )


def merge_pages(
    cursor: ListingCursor, collections: PageRange, objects: PageRange, limit: int
) -> EntryPage:
    """Return one page of both kinds, in the order of names."""
    both = heapq.merge(collections.entries, objects.entries, key=lambda each: each.name)
    shown = list(islice(both, limit))
    next_cursor = ListingCursor(
        collection=collections.resume_after(shown, cursor.collection),
        data_object=objects.resume_after(shown, cursor.data_object),
    )
    return EntryPage(entries=tuple(each.as_entry() for each in shown), next=next_cursor.encode())


ALL_ENTRIES_LIMIT = 5_000
"""Rows of one query where a whole collection is listed."""


class Listing:
    """Lookup and listing of collections and data objects.

    Parameters
    ----------
    session_holder
        The account that lists.
    """

    def __init__(self, session_holder: SessionHolder) -> None:
        self._session_holder = session_holder
        # Most replicas of an object seen so far: a page needs that many times as many rows.
        self._max_replicas = 1

    def find(self, path: str) -> CatalogueEntry:
        """Return the entry of a path; FileNotFoundError if there is none that the account sees."""
        entry = self._session_holder.call(lambda session: _look_up(session, path), path)
        if entry is None:
            raise FileNotFoundError(
                errno.ENOENT, f"There is no {path}, or it is not shared with you"
            )
        return entry

    def page(self, path: str, after: str, limit: int, q: str) -> EntryPage:
        """Return at most `limit` entries of a collection; see `IrodsFileSystem.ls_page`."""
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1.")
        cursor = ListingCursor.decode(after)
        page_query = PageQuery(path=path, limit=limit, q=q, with_created=False)
        collections, objects = self._query_both_kinds(page_query, cursor)
        if not after and not q and not collections.entries and not objects.entries:
            self._expect_collection(path)
        return merge_pages(cursor, collections, objects, limit)

    def _query_both_kinds(
        self, page_query: PageQuery, cursor: ListingCursor
    ) -> tuple[PageRange, PageRange]:
        """Query what follows of both kinds at the same time: no query can return both."""
        replicas = self._max_replicas
        object_query = collection_query = None
        if cursor.data_object is not None:
            object_query = page_query.object_query(cursor.data_object, replicas)
        if cursor.collection is not None:
            collection_query = page_query.collection_query(cursor.collection)
        queries = (object_query, collection_query)
        objects, collections = self._session_holder.call(
            lambda session: run_queries(session, queries), page_query.path
        )
        return (
            page_query.parse_collections(collections),
            self._parse_objects(page_query, cursor.data_object or "", objects, replicas),
        )

    def _parse_objects(
        self, page_query: PageQuery, after: str, rows: list[Row], replicas: int
    ) -> PageRange:
        """Parse rows of objects; query again where one has more replicas than was assumed."""
        while (page_range := page_query.parse_objects(rows, replicas)) is None:
            replicas = 2 * len(rows)
            rows = self._rows(page_query.object_query(after, replicas), page_query.path)
        self._max_replicas = max(self._max_replicas, page_range.max_replicas)
        return page_range

    def _expect_collection(self, path: str) -> None:
        if not self.find(path).is_collection:
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is a data object, not a collection")

    def list_all(self, path: str) -> list[CatalogueEntry]:
        """Return all entries of a collection, or the object itself where the path is one."""
        page_query = PageQuery(path=path, limit=ALL_ENTRIES_LIMIT)
        entries: list[CatalogueEntry] = []
        after: str | None = ""
        while after is not None:
            rows = self._rows(page_query.collection_query(after), path)
            page_range = page_query.parse_collections(rows)
            entries += page_range.entries
            after = page_range.last_name
        after = ""
        while after is not None:
            replicas = self._max_replicas
            rows = self._rows(page_query.object_query(after, replicas), path)
            page_range = self._parse_objects(page_query, after, rows, replicas)
            entries += page_range.entries
            after = page_range.last_name
        if not entries:
            entry = self.find(path)
            return [] if entry.is_collection else [entry]
        return sorted(entries, key=lambda each: each.path)

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
        entries = [collection_from_row(row) for row in self._session_holder.call(collections, path)]
        rows = self._session_holder.call(lambda session: objects(session, here), path)
        if entries:
            rows += self._session_holder.call(lambda session: objects(session, inside), path)
        for parent, group in groupby(rows, key=lambda row: row[0]):
            entries += data_objects_from_rows((row[1:] for row in group), parent)
        prefix = path.rstrip("/") + "/"
        return sorted(
            (each for each in entries if each.path.startswith(prefix)), key=lambda each: each.path
        )

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas of a data object."""
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
        if not rows and self.find(path).is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; only data objects have replicas"
            )
        return tuple(sorted((replica_from_row(row) for row in rows), key=lambda each: each.number))

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
            return data_object_from_rows(rows, path)
    where = (Condition("COLL_NAME", "=", path),)
    collections = Query(select=COLLECTION_COLUMNS, where=where, limit=1, zone=zone)
    rows = run_query(session, collections)
    return collection_from_row(rows[0]) if rows else None


def _object_conditions(path: str) -> tuple[Condition, ...]:
    parent, _, name = path.rpartition("/")
    return Condition("COLL_NAME", "=", parent or "/"), Condition("DATA_NAME", "=", name)
