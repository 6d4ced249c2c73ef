"""Calls that list a collection entry by entry; special collections are listed by them alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, objects, special_collections
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.columns import join, ordered
from tests.irods_zone.genquery1 import pack_rows
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import keywords, number, pack, text
from tests.irods_zone.permissions import Identity
from tests.irods_zone.special_collections import Special, pack_special

OBJECT, COLLECTION = 1, 2
# Collection, name, times and size, as the call that is like a query gives them.
QUERIED = (501, 403, 419, 420, 407)
NO_MORE = -1


def open_collection(caller: Caller, body: Element) -> Reply:
    """Begin to list a collection."""
    path = text(body, "collName").rstrip("/") or "/"
    with caller.store.catalogue.change() as db:
        found = special_collections.find(db, path)
        if found is not None and not found.is_link:
            entries = list(_of_folder(found, _folder(db, caller.who, found)))
        else:
            special = pack_special() if found is None else found.packed(leads_on=True)
            place = path if found is None else found.place
            entries = list(_of_catalogue(db, caller.who, place, special))
    index = next(each for each in range(len(caller.listings) + 1) if each not in caller.listings)
    caller.listings[index] = iter(entries)
    return Reply(status=index)


def read_collection(caller: Caller, body: Element) -> Reply:
    """Give the next entry."""
    index = number(body, "myInt")
    if index not in caller.listings:
        raise CallError(Status.DESCRIPTOR_OUT_OF_RANGE)
    entry = next(caller.listings[index], None)
    if entry is None:
        raise CallError(Status.NO_ROWS)
    return Reply(body=entry)


def close_collection(caller: Caller, body: Element) -> Reply:
    """End a listing."""
    if caller.listings.pop(number(body, "myInt"), None) is None:
        raise CallError(Status.DESCRIPTOR_OUT_OF_RANGE)
    return Reply()


def query_special(caller: Caller, body: Element) -> Reply:
    """Give the objects or the collections in a mounted folder, all at once."""
    wanted = keywords(body).get("selObjType", "dataObj")
    with caller.store.catalogue.change() as db:
        found = special_collections.find(db, text(body, "objPath"))
        if found is None or found.is_link:
            raise CallError(Status.INVALID_INPUT)
        folder = _folder(db, caller.who, found)
    rows = []
    for each in _sorted(folder):
        if each.is_dir() == (wanted == "collection"):
            state = each.stat()
            time = str(int(state.st_mtime))
            name = ("", f"{found.path}/{each.name}") if each.is_dir() else (each.name, found.path)
            rows.append((name[1], name[0], time, time, str(state.st_size)))
    if not rows:
        raise CallError(Status.NO_ROWS)
    return Reply(body=pack_rows(rows, QUERIED, NO_MORE, 0))


def _folder(db: sqlite3.Connection, who: Identity, found: Special) -> Path:
    folder = special_collections.require(db, who, found, Level.READ)
    if not folder.is_dir():
        raise CallError(Status.NO_SUCH_FILE)
    return folder


def _sorted(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda each: (not each.is_dir(), each.name))


def _of_folder(found: Special, folder: Path) -> Iterator[str]:
    for each in _sorted(folder):
        if each.is_dir():
            yield _collection_entry(f"{found.path}/{each.name}", "", "", "", found.packed())
            continue
        state = each.stat()
        time, resource = str(int(state.st_mtime)), found.collection["info2"]
        yield _object_entry(
            {"size": state.st_size, "collection": found.path, "name": each.name, "time": time},
            status=Replica.GOOD,
            resource=resource,
            owner=found.collection["owner"],
            special=found.packed(),
        )


def _of_catalogue(db: sqlite3.Connection, who: Identity, path: str, special: str) -> Iterator[str]:
    collection = collection_paths.find(db, path)
    if collection is None or not objects.is_visible(db, who, collection["id"], path):
        raise CallError(Status.NO_SUCH_FILE)
    for row in _rows(db, who, "C", f"C.parent = ? ORDER BY {ordered('C.name')}", path):
        if row["name"] != "/":
            yield _collection_entry(
                row["name"], row["ctime"], row["mtime"], row["owner"], pack_special()
            )
    order = f"C.name = ? ORDER BY {ordered('D.name')}, D.status != 1, D.number"
    last = None
    for row in _rows(db, who, "D", order, path):
        if row["id"] != last:
            entry = {"size": row["size"], "collection": path, "name": row["name"]}
            entry |= {"id": row["id"], "time": row["ctime"], "changed": row["mtime"]}
            yield _object_entry(entry, special=special)
        last = row["id"]


def _rows(
    db: sqlite3.Connection, who: Identity, alias: str, condition: str, path: str
) -> sqlite3.Cursor:
    joined = join([f"{alias}.id", "C.name"], who)
    where = "".join(f"{each} AND " for each in joined.conditions)
    sql = f"SELECT {alias}.* FROM {joined.tables} WHERE {where}{condition}"
    return db.execute(sql, (*joined.values, path))


def _collection_entry(path: str, created: str, changed: str, owner: str, special: str) -> str:
    return pack(
        "CollEnt_PI",
        special,
        objType=COLLECTION,
        replNum=0,
        replStatus=0,
        dataMode=0,
        dataSize=0,
        collName=path,
        createTime=created,
        modifyTime=changed,
        ownerName=owner,
    )


def _object_entry(
    entry: dict[str, object],
    *,
    special: str,
    status: int = 0,
    resource: str = "",
    owner: str = "",
) -> str:
    return pack(
        "CollEnt_PI",
        special,
        objType=OBJECT,
        replNum=0,
        replStatus=int(status),
        dataMode=0,
        dataSize=entry["size"],
        collName=entry["collection"],
        dataName=entry["name"],
        dataId=entry.get("id", ""),
        createTime=entry["time"],
        modifyTime=entry.get("changed", entry["time"]),
        chksum="",
        resource=resource,
        resc_hier=resource,
        phyPath="",
        ownerName=owner,
        dataType="",
    )
