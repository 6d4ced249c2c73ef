"""Pages of a collection: how far a listing has come, what it asks for, and what came of it."""

from __future__ import annotations

import heapq
from itertools import groupby, islice

import msgspec

from nds_jupyter.data.entries import Page
from nds_jupyter.data.irods.catalogue import Condition, Query, Row, like
from nds_jupyter.data.irods.found import (
    COLLECTION_COLUMNS,
    OBJECT_COLUMNS,
    Found,
    collection,
    data_object,
)
from nds_jupyter.data.irods.names import zone_of


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
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
    rows
        Of the catalogue, of the one object that has the most of them: its replicas.
    """

    found: tuple[Found, ...] = ()
    end: str | None = None
    rows: int = 1

    def read_up_to(self, shown: list[Found], before: str | None) -> str | None:
        """Return where to go on, given what of it was shown: the rest is asked for again."""
        known = set(map(id, self.found))
        taken = [each for each in shown if id(each) in known]
        if len(taken) == len(self.found):
            return self.end
        return taken[-1].name if taken else before


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a collection.

    Parameters
    ----------
    limit
        Most entries wanted of one kind.
    q
        What a name must contain.
    dated
        Whether it matters when they were made.
    """

    path: str
    limit: int
    q: str = ""
    dated: bool = True

    def collections(self, after: str) -> Query:
        """Ask for collections after a name."""
        base = self.path.rstrip("/")
        where = [Condition("COLL_PARENT_NAME", "=", self.path)]
        if after:
            where.append(Condition("COLL_NAME", ">", f"{base}/{after}"))
        if self.q:
            where.append(Condition("COLL_NAME", "like", f"{like(base)}/%{like(self.q)}%"))
        return self._query(COLLECTION_COLUMNS, where, self.limit + 1)

    def objects(self, after: str, replicas: int) -> Query:
        """Ask for data objects after a name, of which each may have so many rows."""
        where = [Condition("COLL_NAME", "=", self.path)]
        if after:
            where.append(Condition("DATA_NAME", ">", after))
        if self.q:
            where.append(Condition("DATA_NAME", "like", f"%{like(self.q)}%"))
        return self._query(OBJECT_COLUMNS, where, self.limit * replicas + 1)

    def _query(self, columns: tuple[str, ...], where: list[Condition], limit: int) -> Query:
        return Query(
            # The last column says when it was made; every column costs server and client time.
            select=columns if self.dated else columns[:-1],
            where=tuple(where),
            order=columns[:1],
            limit=limit,
            zone=zone_of(self.path),
        )

    def collections_of(self, rows: list[Row]) -> Stretch:
        """Read the answer to `collections`."""
        found = [collection(row) for row in rows[: self.limit]]
        return Stretch(
            # The root is its own parent.
            found=tuple(each for each in found if each.path != "/" and self.q in each.name),
            end=found[-1].name if len(rows) > self.limit else None,
        )

    def objects_of(self, rows: list[Row], replicas: int) -> Stretch | None:
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
        return Stretch(
            found=tuple(each for each in found if self.q in each.name),
            end=None if complete else found[-1].name,
            rows=max(map(len, by_name), default=1),
        )


def merged(cursor: Cursor, collections: Stretch, objects: Stretch, limit: int) -> Page:
    """Return the page of both kinds, in one order of names."""
    both = heapq.merge(collections.found, objects.found, key=lambda each: each.name)
    shown = list(islice(both, limit))
    following = Cursor(
        collection=collections.read_up_to(shown, cursor.collection),
        data_object=objects.read_up_to(shown, cursor.data_object),
    )
    return Page(entries=tuple(each.entry() for each in shown), next=following.text())
