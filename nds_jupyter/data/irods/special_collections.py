"""Mounted and linked collections: their content is not in the catalogue, the server reads it.

A mounted collection shows a directory of a resource, a linked one another collection. Queries find
nothing in either; objStat and the calls that read a collection do.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from irods.api_number import api_number
from irods.exception import CAT_NO_ROWS_FOUND, iRODSException
from irods.message import ET, CollectionRequest, StringStringMap, iRODSMessage
from irods.message.message import Message
from irods.message.property_types import IntegerProperty

from nds_jupyter.data.entries import Kind, Replica
from nds_jupyter.data.irods.catalogue_queries import CatalogueEntry, timestamp
from nds_jupyter.data.irods.object_descriptors import object_request
from nds_jupyter.data.irods.sessions import ZoneSession

_KINDS = {"1": Kind.DATA_OBJECT, "2": Kind.COLLECTION}
_NAMES = {"1": "an archive file's", "2": "a mounted", "3": "a linked"}
"""What a special collection is, by the server's number of its class."""


class _Handle(Message):  # type: ignore[misc]  # the client has no types
    """Number of a collection that the server has open for reading."""

    _name = "INT_PI"
    myInt = IntegerProperty()  # noqa: N815  # as the protocol names it


def stat_special(session: ZoneSession, path: str) -> CatalogueEntry | None:
    """Return the entry of a path in a special collection; None if it is in none, or not there."""
    facts = _stat(session, path)
    if facts is None or (kind := _KINDS.get(_text(facts, "objType"))) is None:
        return None
    is_object = kind is Kind.DATA_OBJECT
    return CatalogueEntry(
        path=path,
        kind=kind,
        id=_text(facts, "dataId"),
        size=int(_text(facts, "objSize") or 0) if is_object else 0,
        checksum=_text(facts, "chksum") if is_object else "",
        modified=_time(facts, "modifyTime"),
        created=_time(facts, "createTime"),
        special=True,
    )


def list_special(session: ZoneSession, path: str) -> list[CatalogueEntry]:
    """Return what a special collection holds, by name."""
    entries: dict[str, CatalogueEntry] = {}
    facts: Any = None
    try:
        with session.pool.get_connection() as conn, _open_collection(conn, path) as handle:
            while (facts := _read_next(conn, handle)) is not None:
                entry = _entry_of(facts, path)
                # A linked collection tells each replica; a good one stands for the object.
                if entry.name not in entries or _text(facts, "replStatus") == "1":
                    entries[entry.name] = entry
    except iRODSException as exc:
        described = _stat(session, path)
        number = _text(described.find("SpecColl_PI"), "collClass") if described is not None else ""
        raise OSError(
            errno.EIO,
            f"{path} is in {_NAMES.get(number, 'a special')} collection, and the iRODS server can't"
            f" list it ({type(exc).__name__}). Ask who runs the zone",
        ) from exc
    return [entries[name] for name in sorted(entries)]


def walk_special(session: ZoneSession, path: str) -> Iterator[CatalogueEntry]:
    """Yield everything below a special collection."""
    for entry in list_special(session, path):
        yield entry
        if entry.is_collection:
            yield from walk_special(session, entry.path)


def replica_of_special(session: ZoneSession, path: str) -> Replica | None:
    """Return the one replica of a file in a special collection; None if it is not in one."""
    facts, entry = _stat(session, path), stat_special(session, path)
    if facts is None or entry is None:
        return None
    return Replica(
        number=0,
        resource=_text(facts.find("SpecColl_PI"), "rescHier"),
        status="good",
        size=entry.size,
        checksum=entry.checksum or None,
        modified=entry.modified,
    )


def _stat(session: ZoneSession, path: str) -> Any:
    """Return the server's facts about a path in a special collection; None if it is in none."""
    try:
        with session.pool.get_connection() as conn:
            facts = _parse(_call(conn, "OBJ_STAT_AN", object_request(path)))
    except iRODSException:
        # Whatever the server says about a path that its catalogue does not know: it is not there.
        return None
    special = facts.find("SpecColl_PI")
    return facts if special is not None and _text(special, "collClass") in _NAMES else None


@contextlib.contextmanager
def _open_collection(conn: Any, path: str) -> Iterator[int]:
    body = CollectionRequest(collName=path, flags=0, oprType=0, KeyValPair_PI=StringStringMap({}))
    handle = _call(conn, "OPEN_COLLECTION_AN", body).int_info
    try:
        yield handle
    finally:
        _call(conn, "CLOSE_COLLECTION_AN", _Handle(myInt=handle))


def _read_next(conn: Any, handle: int) -> Any:
    try:
        return _parse(_call(conn, "READ_COLLECTION_AN", _Handle(myInt=handle)))
    except CAT_NO_ROWS_FOUND:
        return None


def _entry_of(facts: Any, parent: str) -> CatalogueEntry:
    """Parse an entry; a linked collection tells the paths of what it links to."""
    kind = _KINDS[_text(facts, "objType")]
    is_object = kind is Kind.DATA_OBJECT
    name = _text(facts, "dataName") or _text(facts, "collName").rpartition("/")[2]
    return CatalogueEntry(
        path=f"{parent}/{name}",
        kind=kind,
        id=_text(facts, "dataId"),
        size=int(_text(facts, "dataSize") or 0) if is_object else 0,
        checksum=_text(facts, "chksum") if is_object else "",
        modified=_time(facts, "modifyTime"),
        created=_time(facts, "createTime"),
        special=True,
    )


def _call(conn: Any, api: str, body: Any) -> Any:
    conn.send(iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number[api]))
    return conn.recv()


def _parse(reply: Any) -> Any:
    return ET().fromstring(reply.msg)


def _text(facts: Any, name: str) -> str:
    found = facts.find(name)
    return (found.text or "") if found is not None else ""


def _time(facts: Any, name: str) -> datetime | None:
    text = _text(facts, name)
    return timestamp(text) if text else None
