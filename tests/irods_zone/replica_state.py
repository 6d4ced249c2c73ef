"""Call by which administrators change the catalogue's row of a replica."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from tests.irods_zone import objects
from tests.irods_zone.codes import CallError, Level, Status
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import text, texts

COLUMNS = {
    "replStatus": "status",
    "chksum": "checksum",
    "dataSize": "size",
    "dataComments": "comment",
    "dataModify": "mtime",
    "dataCreate": "ctime",
    "dataAccessTime": "atime",
    "dataType": "type",
    "statusString": "status_text",
}


def modify(caller: Caller, body: Element) -> Reply:
    """Write columns of one replica, or of all."""
    if not caller.who.admin:
        raise CallError(Status.NO_API_PRIVILEGE)
    info, wanted = body.find("DataObjInfo_PI"), body.find("KeyValPair_PI")
    if info is None or wanted is None:
        raise CallError(Status.INVALID_INPUT)
    words = dict(zip(texts(wanted, "keyWord"), texts(wanted, "svalue"), strict=True))
    with caller.store.catalogue.change() as db:
        rows = objects.replicas(db, text(info, "objPath"))
        if not rows:
            raise CallError(Status.NO_ROWS)
        if "irodsAdmin" not in words:
            objects.require(db, caller.who, text(info, "objPath"), Level.WRITE)
        for row in rows:
            if "all" not in words and not _is_meant(info, row["number"], row["resource"]):
                continue
            for key, column in COLUMNS.items():
                if key in words:
                    db.execute(
                        f"UPDATE replicas SET {column} = ? WHERE id = ? AND number = ?",
                        (words[key], row["id"], row["number"]),
                    )
    return Reply()


def _is_meant(info: Element, replica: int, resource: str) -> bool:
    named = text(info, "rescHier") or text(info, "rescName")
    return named == resource if named else text(info, "replNum") == str(replica)
