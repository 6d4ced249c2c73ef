"""Metadata (AVUs) of collections and data objects."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import Any

from irods.exception import (
    CAT_SUCCESS_BUT_WITH_NO_INFO,
    CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME,
)
from irods.meta import iRODSMeta
from irods.models import Collection, DataObject

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods.catalogue_queries import Condition, Query, run_query
from nds_jupyter.data.irods.listing import ALL_ENTRIES_LIMIT, Listing
from nds_jupyter.data.irods.logical_paths import zone_of
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession

MAX_TEXT_BYTES, MAX_UNIT_BYTES = 2700, 250
"""What a name or a value, and a unit, may have.

The columns of the catalogue have that many characters, but GenQuery1, which most clients use, can't
list any metadata of an object that has more bytes.
"""


class MetadataOperations:
    """Operations on the metadata of collections and data objects."""

    def __init__(self, session_holder: SessionHolder, listing: Listing) -> None:
        self._session_holder = session_holder
        self._listing = listing

    def get(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of a path, in the order of names, values and units."""
        query = _query(path, is_collection=self._listing.find(path).is_collection)
        rows = self._session_holder.call(lambda session: run_query(session, query), path)
        if len(rows) == query.limit:
            unlimited = _without_limit(query)
            rows = self._session_holder.call(lambda session: run_query(session, unlimited), path)
        # Where there is none, GenQuery2 gives a row of nothing.
        avus = (Avu(name=name, value=value, unit=unit) for name, value, unit in rows if name)
        return tuple(_sorted(avus))

    def replace(self, path: str, avus: Iterable[Avu]) -> None:
        """Replace all metadata; new ones are added first, so that an interruption loses nothing."""
        new, existing = set(avus), set(self.get(path))
        self._change(path, new - existing, existing - new)

    def add(self, path: str, avus: Iterable[Avu]) -> None:
        """Add metadata; what exists already stays."""
        self._change(path, avus, ())

    def remove(self, path: str, avus: Iterable[Avu]) -> None:
        """Remove metadata; what does not exist is no error."""
        self._change(path, (), set(avus) & set(self.get(path)))

    def _change(self, path: str, added: Iterable[Avu], removed: Iterable[Avu]) -> None:
        added = _sorted(added)
        for avu in added:
            _check(path, avu)
        model = Collection if self._listing.find(path).is_collection else DataObject
        for avu in added:
            self._session_holder.call(_add_avu(model, path, avu), path)
        for avu in _sorted(removed):
            self._session_holder.call(_remove_avu(model, path, avu), path)


def _query(path: str, *, is_collection: bool) -> Query:
    parent, _, name = path.rpartition("/")
    kind = "COLL" if is_collection else "DATA"
    if is_collection:
        where: tuple[Condition, ...] = (Condition("COLL_NAME", "=", path),)
    else:
        where = (Condition("COLL_NAME", "=", parent or "/"), Condition("DATA_NAME", "=", name))
    return Query(
        select=tuple(f"META_{kind}_ATTR_{column}" for column in ("NAME", "VALUE", "UNITS")),
        where=where,
        limit=ALL_ENTRIES_LIMIT,
        zone=zone_of(path),
    )


def _without_limit(query: Query) -> Query:
    return Query(select=query.select, where=query.where, zone=query.zone)


def _check(path: str, avu: Avu) -> None:
    """Refuse what the catalogue could not store, or could store and not list any more."""
    if not avu.name or not avu.value:
        raise ValueError(f"Metadata needs a name and a value; {avu.name!r} has {avu.value!r}.")
    for text, limit in (
        (avu.name, MAX_TEXT_BYTES),
        (avu.value, MAX_TEXT_BYTES),
        (avu.unit, MAX_UNIT_BYTES),
    ):
        if (size := len(text.encode())) > limit:
            raise OSError(
                errno.E2BIG,
                f"{path}: {text[:20]!r}… has {size} bytes; a zone stores metadata with names and "
                f"values of up to {MAX_TEXT_BYTES} bytes, and units of up to {MAX_UNIT_BYTES}",
            )


def _add_avu(model: Any, path: str, avu: Avu) -> Callable[[ZoneSession], None]:
    def add(session: ZoneSession) -> None:
        try:
            session.metadata.add(model, path, _to_irods(avu))
        except CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME:
            # It exists, which is also what a retry after a lost reply meets.
            return

    return add


def _remove_avu(model: Any, path: str, avu: Avu) -> Callable[[ZoneSession], None]:
    def remove(session: ZoneSession) -> None:
        try:
            session.metadata.remove(model, path, _to_irods(avu))
        except CAT_SUCCESS_BUT_WITH_NO_INFO:
            # Another client removed it, or an attempt whose reply was lost.
            return

    return remove


def _to_irods(avu: Avu) -> iRODSMeta:
    return iRODSMeta(avu.name, avu.value, avu.unit or None)


def _sorted(avus: Iterable[Avu]) -> list[Avu]:
    return sorted(set(avus), key=lambda each: (each.name, each.value, each.unit))
