"""Call that tells what a path is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, objects, special_collections
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import pack, text
from tests.irods_zone.special_collections import Special

OBJECT, COLLECTION = 1, 2


def stat(caller: Caller, body: Element) -> Reply:
    """Tell whether a path is an object or a collection, and of what size and age."""
    path = text(body, "objPath").rstrip("/") or "/"
    with caller.store.catalogue.change() as db:
        found = special_collections.find(db, path)
        if found is None:
            return _known(caller, db, path, "")
        if found.is_top:
            return Reply(status=0, body=_known(caller, db, path, found.packed()).body)
        if found.is_link:
            return _known(caller, db, found.place, found.packed())
        place = special_collections.require(db, caller.who, found, Level.READ)
    return _of_file(found, place)


def _known(caller: Caller, db: sqlite3.Connection, path: str, special: str) -> Reply:
    collection = collection_paths.find(db, path)
    if collection is not None and objects.is_visible(db, caller.who, collection["id"], path):
        return _packed(COLLECTION, collection, 0, "", special)
    rows = objects.replicas(db, path)
    if not rows or not objects.is_visible(
        db, caller.who, rows[0]["id"], rows[0]["collection"], within=rows[0]["collection_id"]
    ):
        raise CallError(Status.NO_SUCH_FILE)
    being_written = [row for row in rows if row["status"] == Replica.INTERMEDIATE]
    row = (being_written or rows)[0]
    size = 0 if being_written else row["size"]
    return _packed(OBJECT, row, size, row["checksum"], special)


def _of_file(found: Special, place: Path) -> Reply:
    try:
        state = place.stat()
    except OSError as error:
        raise CallError(Status.NO_SUCH_FILE) from error
    kind = COLLECTION if place.is_dir() else OBJECT
    time = str(int(state.st_mtime))
    row = dict(found.collection) | {"ctime": time, "mtime": time}
    return _packed(kind, row, state.st_size if kind == OBJECT else 0, "", found.packed())


def _packed(
    kind: int, row: sqlite3.Row | dict[str, object], size: int, checksum: str, special: str
) -> Reply:
    packed = pack(
        "RodsObjStat_PI",
        special,
        objSize=size,
        objType=kind,
        dataMode=0,
        dataId=row["id"],
        chksum=checksum,
        ownerName=row["owner"],
        ownerZone=row["owner_zone"],
        createTime=row["ctime"],
        modifyTime=row["mtime"],
    )
    return Reply(status=kind, body=packed)
