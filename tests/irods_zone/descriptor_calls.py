"""Calls that open, seek and close objects; their bytes are transferred in `transfer`."""

from __future__ import annotations

import sqlite3
from xml.etree.ElementTree import Element

from tests.irods_zone import mounted_files, objects, ticket_opening
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Flag, Level, Replica, Status
from tests.irods_zone.descriptors import Descriptor, open_file
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import (
    keywords,
    number,
    pack,
    pack_json,
    pack_text,
    text,
    unpack_json,
)

FINAL_STATUSES = (Replica.GOOD, Replica.STALE)


def open_object(caller: Caller, body: Element) -> Reply:
    """Open an object, or make it."""
    return _open(caller, body, number(body, "openFlags"))


def create_object(caller: Caller, body: Element) -> Reply:
    """Make an object, or empty the one that is there."""
    return _open(caller, body, Flag.WRITE | Flag.CREATE | Flag.TRUNCATE)


def open_for_put(caller: Caller, body: Element) -> int:
    """Open the object of a put, which writes over another one only if told to."""
    with caller.store.catalogue.change() as db:
        there = objects.readable(db, caller.who, text(body, "objPath"))
    if there and "forceFlag" not in keywords(body):
        raise CallError(Status.OVERWRITE_WITHOUT_FORCE)
    inx = _open(caller, body, Flag.READ_WRITE | Flag.CREATE | Flag.TRUNCATE).status
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
        row = objects.one(db, descriptor.object_id, descriptor.number)
    return Reply(body=pack_json(_description(descriptor, row)))


def resource_for_operation(caller: Caller, body: Element) -> Reply:
    """Tell where an object is or would be kept."""
    words = keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.readable(db, caller.who, text(body, "objPath"))
        name = rows[0]["resource"] if rows else objects.find_resource(db, words)["name"]
    return Reply(body=pack_text(f'{{"host":"127.0.0.1","resource_hierarchy":"{name}"}}'))


def finalize(caller: Caller, inx: int, *, interrupted: bool = False, failed: bool = False) -> None:
    """Close a descriptor; the first writer of an object decides what the catalogue says."""
    descriptor = caller.descriptors.get(inx)
    size = descriptor.size
    caller.descriptors.pop(inx)
    if not descriptor.finalizes:
        return
    status = Status.OK
    try:
        with caller.store.catalogue.change() as db:
            row = objects.one(db, descriptor.object_id, descriptor.number)
            if descriptor.changed:
                status = _settle(
                    caller, db, row, descriptor, size, interrupted=interrupted, failed=failed
                )
                status = ticket_opening.settle(db, caller.who, row, size) or status
            else:
                _restore(db, descriptor)
    finally:
        caller.store.unlock(descriptor.object_id)
    if status != Status.OK:
        raise CallError(status)


def _open(caller: Caller, body: Element, flags: int) -> Reply:
    path, words = text(body, "objPath"), keywords(body)
    if not path.startswith("/"):
        raise CallError(Status.INVALID_FILE_PATH)
    mounted = mounted_files.open_file(caller, path, flags, words)
    if mounted is not None:
        return Reply(status=mounted)
    writes = bool(flags & (Flag.WRITE | Flag.READ_WRITE))
    admitted = ticket_opening.admits(caller, path, flags)
    with caller.store.catalogue.change() as db:
        objects.end_outside(db, caller.who, path)
        rows = objects.readable(db, caller.who, path) if admitted else []
        made = not rows
        if made:
            row = _make(caller, db, path, flags if writes else 0, words)
        else:
            row = _choose(caller, db, rows, words, writes=writes)
        descriptor = _describe_open(row, path, flags, words, writes=writes)
        descriptor.declared_size = number(body, "dataSize")
        if writes:
            row = _lock(caller, db, row, descriptor)
            descriptor.changed = made or bool(flags & Flag.TRUNCATE) or row["size"] == 0
        else:
            db.execute("UPDATE replicas SET atime = ? WHERE id = ?", (now(), row["id"]))
        descriptor.file = open_file(
            row["path"], writable=writes, truncate=writes and bool(flags & Flag.TRUNCATE)
        )
    return Reply(status=caller.descriptors.add(descriptor))


def _make(
    caller: Caller, db: sqlite3.Connection, path: str, flags: int, words: dict[str, str]
) -> sqlite3.Row:
    if not flags & Flag.CREATE:
        raise CallError(Status.NO_SUCH_PATH)
    place = objects.require_place(db, caller.who, path)
    if objects.replicas(db, path):
        raise CallError(
            Status.NO_PERMISSION, f"no permission to update collection '{place['name']}'"
        )
    name = path.rpartition("/")[2]
    resource = objects.find_resource(db, words)
    return objects.insert(caller.store, db, caller.who, place, name, resource)


def _choose(
    caller: Caller,
    db: sqlite3.Connection,
    rows: list[sqlite3.Row],
    words: dict[str, str],
    *,
    writes: bool,
) -> sqlite3.Row:
    if "replNum" in words:
        rows = [row for row in rows if str(row["number"]) == words["replNum"]]
        if not rows:
            raise CallError(Status.NO_SUCH_REPLICA)
    named = words.get("resc_hier") or words.get("rescName") or words.get("destRescName")
    there = [row for row in rows if row["resource"] == named]
    if not writes:
        row = (there or rows)[0]
        if row["status"] not in FINAL_STATUSES:
            raise CallError(Status.HIERARCHY_ERROR)
        return row
    if not objects.may(db, caller.who, rows[0], Level.WRITE):
        where = rows[0]["collection"]
        raise CallError(Status.NO_PERMISSION, f"no permission to update collection '{where}'")
    locked = any(row["status"] not in FINAL_STATUSES for row in rows)
    if named and not there:
        resource = objects.find_resource(db, words)
        if locked:
            raise CallError(Status.LOCKED_OBJECT)
        return objects.insert_replica(caller.store, db, rows[0], resource)
    if locked and not _is_further_writer(caller, rows[0]["id"], words):
        raise CallError(Status.HIERARCHY_ERROR)
    return (there or rows)[0]


def _is_further_writer(caller: Caller, object_id: int, words: dict[str, str]) -> bool:
    held = caller.store.token(object_id)
    return bool(held) and words.get("replicaToken") == held


def _describe_open(
    row: sqlite3.Row, path: str, flags: int, words: dict[str, str], *, writes: bool
) -> Descriptor:
    return Descriptor(
        file=-1,
        path=path,
        object_id=row["id"],
        number=row["number"],
        flags=flags,
        words=dict(words),
        declared_size=-1,
        writes=writes,
        previous_status=row["status"],
    )


def _lock(
    caller: Caller, db: sqlite3.Connection, row: sqlite3.Row, descriptor: Descriptor
) -> sqlite3.Row:
    held = caller.store.token(row["id"])
    if not held and "replicaToken" in descriptor.words:
        raise CallError(Status.LOCKED_OBJECT)
    descriptor.token = held or caller.store.lock(row["id"])
    if held:
        return row
    descriptor.finalizes = True
    others = db.execute(
        "SELECT number, status FROM replicas WHERE id = ? AND number != ?",
        (row["id"], row["number"]),
    )
    descriptor.others = {each["number"]: each["status"] for each in others}
    db.execute("UPDATE replicas SET status = ? WHERE id = ?", (Replica.WRITE_LOCKED, row["id"]))
    db.execute(
        "UPDATE replicas SET status = ?, path = ? WHERE id = ? AND number = ?",
        (Replica.INTERMEDIATE, objects.own_file(caller.store, row), row["id"], row["number"]),
    )
    return objects.one(db, row["id"], row["number"])


def _settle(
    caller: Caller,
    db: sqlite3.Connection,
    row: sqlite3.Row,
    descriptor: Descriptor,
    size: int,
    *,
    interrupted: bool,
    failed: bool,
) -> Status:
    cut = descriptor.checks_size and size != descriptor.declared_size
    unchecked = interrupted or failed or cut
    wanted = not unchecked and {"regChksum", "verifyChksum"} & descriptor.words.keys()
    found = objects.checksum(row["path"]) if wanted else ""
    expected = descriptor.words.get("verifyChksum", "")
    matches = unchecked or not expected or expected == found
    good = (
        matches and not failed and not cut and (caller.store.finalizes_as_good or not interrupted)
    )
    status = Replica.GOOD if good else Replica.STALE
    db.execute("UPDATE replicas SET status = ? WHERE id = ?", (Replica.STALE, row["id"]))
    db.execute(
        "UPDATE replicas SET status = ?, size = ?, checksum = ?, mtime = ?, atime = ?"
        " WHERE id = ? AND number = ?",
        (status, size, found, now(), now(), row["id"], row["number"]),
    )
    if cut and not failed:
        return Status.LENGTH_DIFFERS
    return Status.OK if matches else Status.CHECKSUM_MISMATCH


def _restore(db: sqlite3.Connection, descriptor: Descriptor) -> None:
    before = descriptor.others | {descriptor.number: descriptor.previous_status}
    db.executemany(
        "UPDATE replicas SET status = ? WHERE id = ? AND number = ?",
        [(status, descriptor.object_id, replica) for replica, status in before.items()],
    )


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
