"""Listing of paths, pages and trees, without a query for each entry."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from itertools import groupby
from typing import TypeVar

import msgspec

from nds_jupyter.data.entries import EntryPage, Kind, ListingCursor, Replica
from nds_jupyter.data.irods.catalogue_queries import (
    COLLECTION_COLUMNS,
    OBJECT_COLUMNS,
    REPLICA_COLUMNS,
    CatalogueEntry,
    Condition,
    Query,
    Row,
    collections_from_rows,
    data_object_from_rows,
    data_objects_from_rows,
    like_pattern,
    replicas_from_rows,
    run_queries,
    run_query,
)
from nds_jupyter.data.irods.exceptions import MISSING, TICKET_MISSING
from nds_jupyter.data.irods.logical_paths import parent_of, top_collections, zone_of
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession
from nds_jupyter.data.irods.special_collections import (
    list_special,
    replica_of_special,
    stat_special,
    walk_special,
)
from nds_jupyter.data.unicode_forms import find_other_form, has_other_form

T = TypeVar("T")

_log = logging.getLogger(__name__)


class PageRange(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one kind that one query returned, in the catalogue's order of names.

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

    def resume_after(self, shown: int, before: str | None) -> str | None:
        """Return the name after which the next page begins, if so many entries were shown."""
        if shown >= len(self.entries):
            return self.last_name
        return self.entries[shown - 1].name if shown > 0 else before


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
    without
        A collection in it that is left out.
    """

    path: str
    limit: int
    q: str = ""
    with_created: bool = True
    without: str = ""

    def collection_query(self, after: str) -> Query:
        """Return the query for collections after a name."""
        base = self.path.rstrip("/")
        where = [Condition("COLL_PARENT_NAME", "=", self.path)]
        if self.path == "/":
            # The root is its own parent.
            where.append(Condition("COLL_NAME", "<>", "/"))
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
        read = collections_from_rows(rows)
        collections = read[: self.limit]
        return PageRange(
            entries=tuple(
                each for each in collections if each.path != self.without and self.q in each.name
            ),
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


def join_pages(
    cursor: ListingCursor, collections: PageRange, objects: PageRange, limit: int
) -> EntryPage:
    """Return one page: collections first, then objects, each in the order that they came in.

    That is the catalogue's own, by which it also compares with the cursor; which one it is, only
    its database knows, so that the two kinds can't be merged by name here.
    """
    shown = (*collections.entries, *objects.entries)[:limit]
    rest = len(shown) - len(collections.entries)
    next_cursor = ListingCursor(
        collection=collections.resume_after(len(shown), cursor.collection),
        data_object=objects.resume_after(max(rest, 0), cursor.data_object),
    )
    return EntryPage(entries=tuple(each.as_entry() for each in shown), next=next_cursor.encode())


def page_of_all(
    entries: list[CatalogueEntry], cursor: ListingCursor, limit: int, q: str
) -> EntryPage:
    """Return one page of entries that are all known, in the order of code points."""

    def page_range(kind: Kind, after: str | None) -> PageRange:
        if after is None:
            return PageRange()
        names = (each for each in entries if each.kind is kind and q in each.name)
        return PageRange(entries=tuple(each for each in names if each.name > after))

    collections = page_range(Kind.COLLECTION, cursor.collection)
    objects = page_range(Kind.DATA_OBJECT, cursor.data_object)
    return join_pages(cursor, collections, objects, limit)


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

    @property
    def _tops(self) -> tuple[str, ...]:
        return top_collections(self._session_holder.account.zone)

    def find(self, path: str) -> CatalogueEntry:
        """Return the entry of a path; FileNotFoundError if there is none that the account sees."""
        entry = self._find_exactly(path)
        if entry is None and (other := find_other_form(path, self._find_exactly)) is not None:
            actual, entry = other
            _log.warning("There is no %s; %s, which looks the same, is taken.", path, ascii(actual))
        if entry is None:
            has_ticket = bool(self._session_holder.account.ticket)
            raise (TICKET_MISSING if has_ticket else MISSING).error(path)
        return entry

    def _find_exactly(self, path: str) -> CatalogueEntry | None:
        if path in self._tops:
            return _top_entry(path)
        return self._call(lambda session: _look_up(session, path), path)

    def path_as_it_is(self, path: str) -> str:
        """Return a path in the Unicode form in which it is there."""
        return self.find(path).path if has_other_form(path) else path

    def new_path(self, path: str) -> str:
        """Return a path to write to; FileExistsError if one is there that looks the same."""
        missing = path
        while has_other_form(missing) and self._find_exactly(missing) is None:
            if (other := find_other_form(missing, self._find_exactly)) is not None:
                raise look_alike_error(path, other[0])
            missing = parent_of(missing)
        return path

    def page(self, path: str, after: str, limit: int, q: str) -> EntryPage:
        """Return at most `limit` entries of a collection; see `IrodsFileSystem.ls_page`."""
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1.")
        path = self._path_of_collection(path)
        cursor = ListingCursor.decode(after)
        tops = [each for each in self._tops_in(path) if not after and q in each.name]
        page_query = PageQuery(
            path=path, limit=limit, q=q, with_created=False, without=self._top_in(path)
        )
        # Where a page goes on with collections, objects are rarely needed too.
        going_on = "/" in after and cursor.collection is not None
        collections, objects = self._query_both_kinds(page_query, cursor, going_on=going_on)
        if not tops and not collections.entries and not objects.entries:
            special = self._entries_of_special(path, expected=not after and not q)
            if special is not None:
                return page_of_all(special, cursor, limit, q)
        page = join_pages(cursor, collections, objects, limit - len(tops))
        return EntryPage(
            entries=(*(each.as_entry() for each in tops), *page.entries), next=page.next
        )

    def _path_of_collection(self, path: str) -> str:
        """Return the path of a collection in the Unicode form that is there, if one is."""
        if not has_other_form(path) or self._find_exactly(path) is not None:
            return path
        other = find_other_form(path, self._find_exactly)
        return path if other is None else other[0]

    def _query_both_kinds(
        self, page_query: PageQuery, cursor: ListingCursor, *, going_on: bool
    ) -> tuple[PageRange, PageRange]:
        """Query what follows of both kinds at the same time: no query can return both."""
        replicas = self._max_replicas
        object_query = collection_query = None
        if cursor.data_object is not None and not going_on:
            object_query = page_query.object_query(cursor.data_object, replicas)
        if cursor.collection is not None:
            collection_query = page_query.collection_query(cursor.collection)
        queries = (object_query, collection_query)
        object_rows, collection_rows = self._call(
            lambda session: run_queries(session, queries), page_query.path
        )
        collections, objects = PageRange(), PageRange(last_name=cursor.data_object)
        if collection_query is not None:
            collections = page_query.parse_collections(collection_rows)
        if object_query is not None:
            objects = self._parse_objects(
                page_query, cursor.data_object or "", object_rows, replicas
            )
        elif collections.last_name is None and len(collections.entries) < page_query.limit:
            # The collections end on this page.
            following = msgspec.structs.replace(cursor, collection=None)
            if following.data_object is not None and going_on:
                _, objects = self._query_both_kinds(page_query, following, going_on=False)
        return collections, objects

    def _parse_objects(
        self, page_query: PageQuery, after: str, rows: list[Row], replicas: int
    ) -> PageRange:
        """Parse rows of objects; query again where one has more replicas than was assumed."""
        while (page_range := page_query.parse_objects(rows, replicas)) is None:
            replicas = 2 * len(rows)
            rows = self._rows(page_query.object_query(after, replicas), page_query.path)
        self._max_replicas = max(self._max_replicas, page_range.max_replicas)
        return page_range

    def _top_in(self, path: str) -> str:
        """Return the collection above the homes that a collection holds; empty for none."""
        return next((each for each in self._tops[1:] if parent_of(each) == path), "")

    def _tops_in(self, path: str) -> list[CatalogueEntry]:
        top = self._top_in(path)
        return [_top_entry(top)] if top else []

    def _entries_of_special(self, path: str, *, expected: bool) -> list[CatalogueEntry] | None:
        """Return what a mounted or linked collection holds; None for any other.

        Parameters
        ----------
        expected
            Whether it is an error if there is no such collection.
        """
        try:
            entry = self.find(path)
        except FileNotFoundError:
            if expected:
                raise
            return None
        if expected and not entry.is_collection:
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is a data object, not a collection")
        if not entry.special or not entry.is_collection:
            return None
        return self._call(lambda session: list_special(session, path), path)

    def list_all(self, path: str) -> list[CatalogueEntry]:
        """Return all entries of a collection, or the object itself where the path is one."""
        page_query = PageQuery(path=path, limit=ALL_ENTRIES_LIMIT, without=self._top_in(path))
        entries = self._tops_in(path)
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
            if not entry.is_collection:
                return [entry]
            if entry.path != path:
                return self.list_all(entry.path)
            if entry.special:
                entries = self._call(lambda session: list_special(session, path), path)
        return sorted(entries, key=lambda each: each.path)

    def list_tree(self, path: str) -> list[CatalogueEntry]:
        """Return everything below a collection, with three queries; an object is itself."""
        path = self._path_of_collection(path)
        inside = Condition("COLL_NAME", "like", f"{like_pattern(path.rstrip('/'))}/%")
        zone = zone_of(path)

        def collections(session: ZoneSession) -> list[Row]:
            return run_query(session, Query(select=COLLECTION_COLUMNS, where=(inside,), zone=zone))

        def objects(session: ZoneSession, where: Condition) -> list[Row]:
            order = ("COLL_NAME", "DATA_NAME")
            select = ("COLL_NAME", *OBJECT_COLUMNS)
            return run_query(session, Query(select=select, where=(where,), order=order, zone=zone))

        here = Condition("COLL_NAME", "=", path)
        entries = [_top_entry(each) for each in self._tops]
        found = {each.path for each in entries}
        read = collections_from_rows(self._call(collections, path))
        entries += [each for each in read if each.path not in found]
        rows = self._call(lambda session: objects(session, here), path)
        if read:
            rows += self._call(lambda session: objects(session, inside), path)
        for parent, group in groupby(rows, key=lambda row: row[0]):
            entries += data_objects_from_rows((row[1:] for row in group), parent)
        prefix = path.rstrip("/") + "/"
        below = [each for each in entries if each.path.startswith(prefix) and each.path != path]
        below += self._below_special(path, below)
        return sorted(below, key=lambda each: each.path)

    def _below_special(self, path: str, below: list[CatalogueEntry]) -> list[CatalogueEntry]:
        """Return what mounted and linked collections in a tree hold, and an object as itself."""
        special = [each for each in below if each.special]
        if not below:
            entry = self.find(path)
            if not entry.is_collection:
                return [entry]
            special = [entry] if entry.special else []
        found: list[CatalogueEntry] = []
        for each in special:
            found += self._walk_special(each.path)
        return found

    def _walk_special(self, path: str) -> list[CatalogueEntry]:
        return self._call(lambda session: [*walk_special(session, path)], path)

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas of a data object."""
        query = Query(
            select=REPLICA_COLUMNS,
            where=_object_conditions(path),
            order=("DATA_REPL_NUM",),
            limit=ALL_ENTRIES_LIMIT,
            zone=zone_of(path),
        )
        replicas = replicas_from_rows(self._rows(query, path))
        if replicas:
            return replicas
        entry = self.find(path)
        if entry.is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; only data objects have replicas"
            )
        if entry.path != path:
            return self.replicas(entry.path)
        only = self._call(lambda session: replica_of_special(session, path), path)
        return () if only is None else (only,)

    def _rows(self, query: Query, path: str) -> list[Row]:
        return self._call(lambda session: run_query(session, query), path)

    def _call(self, operation: Callable[[ZoneSession], T], path: str) -> T:
        return self._session_holder.call(operation, path)


def look_alike_error(path: str, other: str) -> OSError:
    """Return the error of writing to a path beside one that looks the same."""
    return FileExistsError(
        errno.EEXIST,
        f"{path}: there is {other!a}, which looks the same (the other Unicode form). Use that "
        "one, or rename it",
    )


def _top_entry(path: str) -> CatalogueEntry:
    return CatalogueEntry(path=path, kind=Kind.COLLECTION, id="", modified=None, created=None)


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
    for entry in collections_from_rows(run_query(session, collections)):
        return entry
    return stat_special(session, path)


def _object_conditions(path: str) -> tuple[Condition, ...]:
    parent, _, name = path.rpartition("/")
    return Condition("COLL_NAME", "=", parent or "/"), Condition("DATA_NAME", "=", name)
