"""Calls that open, seek and close objects; their bytes are transferred in `transfer`."""

from __future__ import annotations

import sqlite3
from xml.etree.ElementTree import Element

from tests.irods_zone import mounted_files, objects, special_collections
from tests.irods_zone.closing import finalize
from tests.irods_zone.codes import CallError, Flag, Replica, Status
from tests.irods_zone.descriptors import Descriptor
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.opening import OVERWRITING, open_path
from tests.irods_zone.packing import (
    keywords,
    number,
    pack,
    pack_json,
    pack_text,
    text,
    unpack_json,
)


def open_object(caller: Caller, body: Element) -> Reply:
    """Open an object, or make it."""
    return _open(caller, body, number(body, "openFlags"))


def create_object(caller: Caller, body: Element) -> Reply:
    """Make an object, or empty the one that is there."""
    return _open(caller, body, Flag.WRITE | Flag.CREATE | Flag.TRUNCATE)


def open_for_put(caller: Caller, body: Element) -> int:
    """Open the object of a put, which writes over another one only if told to."""
    path, words = text(body, "objPath"), keywords(body)
    with caller.store.catalogue.change() as db:
        there = objects.readable(db, caller.who, path)
        if there and "forceFlag" not in words:
            raise CallError(Status.OVERWRITE_WITHOUT_FORCE)
        if there and words.get("destRescName", there[0]["resource"]) not in {
            row["resource"] for row in there
        }:
            raise CallError(Status.HIERARCHY_ERROR)
    size = number(body, "dataSize")
    inx = open_path(caller, path, OVERWRITING, words, declared_size=size)
    caller.descriptors.get(inx).checks_size = True
    return inx


def seek(caller: Caller, body: Element) -> Reply:
    """Move the offset of an open object."""
    descriptor = caller.descriptors.get(number(body, "l1descInx"))
    start = {0: 0, 1: descriptor.offset, 2: descriptor.size}.get(number(body, "whence"))
    if start is None or start + number(body, "offset") < 0:
        raise CallError(Status.INVALID_INPUT)
    descriptor.offset = start + number(body, "offset")
    return Reply(body=pack("fileLseekOut_PI", offset=descriptor.offset))


def close(caller: Caller, body: Element) -> Reply:
    """Close an object and write down what became of it."""
    inx = number(body, "l1descInx")
    if inx not in caller.descriptors.numbers():
        raise CallError(Status.INVALID_INPUT)
    descriptor = caller.descriptors.get(inx)
    descriptor.words |= keywords(body)
    finalize(caller, inx)
    return Reply()


def close_replica(caller: Caller, body: Element) -> Reply:
    """Close an object that another connection finalizes."""
    asked = unpack_json(body)
    descriptor = caller.descriptors.get(int(asked["fd"]))
    descriptor.finalizes = descriptor.finalizes and bool(asked.get("update_status", True))
    finalize(caller, int(asked["fd"]))
    return Reply()


def describe(caller: Caller, body: Element) -> Reply:
    """Tell what is known of an open object; further connections open it by its token."""
    descriptor = caller.descriptors.get(int(unpack_json(body)["fd"]))
    with caller.store.catalogue.change() as db:
        if special_collections.mounted(db, descriptor.path) is not None:
            # No row tells of it: the server has looked at the file.
            facts = {"object_path": descriptor.path, "data_size": descriptor.size}
            return Reply(body=pack_json({"data_object_info": facts, "replica_token": ""}))
        row = objects.one(db, descriptor.object_id, descriptor.number)
    return Reply(body=pack_json(_description(descriptor, row)))


def resource_for_operation(caller: Caller, body: Element) -> Reply:
    """Tell where an object is or would be kept."""
    words = keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.readable(db, caller.who, text(body, "objPath"))
        name = rows[0]["resource"] if rows else objects.find_resource(db, words)["name"]
    return Reply(body=pack_text(f'{{"host":"127.0.0.1","resource_hierarchy":"{name}"}}'))


def _open(caller: Caller, body: Element, flags: int) -> Reply:
    path, words = text(body, "objPath"), keywords(body)
    if not path.startswith("/"):
        raise CallError(Status.INVALID_FILE_PATH)
    mounted = mounted_files.open_file(caller, path, flags, words)
    if mounted is not None:
        return Reply(status=mounted)
    size = number(body, "dataSize")
    return Reply(status=open_path(caller, path, flags, words, declared_size=size))


def _description(descriptor: Descriptor, row: sqlite3.Row) -> dict[str, object]:
    chosen = {"resc_hier": row["resource"], "selected_hierarchy": row["resource"]}
    condition = [{"key": key, "value": value} for key, value in (descriptor.words | chosen).items()]
    return {
        "bytes_written": -1,
        "data_object_info": {
            "checksum": row["checksum"],
            "collection_id": row["collection_id"],
            "data_create": row["ctime"],
            "data_id": row["id"],
            "data_modify": row["mtime"],
            "data_owner_name": row["owner"],
            "data_owner_zone": row["owner_zone"],
            "data_size": row["size"],
            "data_type": row["type"],
            "file_path": row["path"],
            "is_replica_current": row["status"] == Replica.GOOD,
            "object_path": descriptor.path,
            "replica_number": row["number"],
            "replica_status": row["status"],
            "resource_hierarchy": row["resource"],
            "resource_id": row["resource_id"],
            "resource_name": row["resource"],
        },
        "data_object_input": {
            "condition_input": condition,
            "data_size": descriptor.declared_size,
            "object_path": descriptor.path,
            "open_flags": descriptor.flags,
        },
        "data_size": descriptor.declared_size,
        "in_use": True,
        "open_type": 1 if descriptor.flags & Flag.CREATE else 2,
        "replica_status": row["status"],
        "replica_token": descriptor.token,
    }
