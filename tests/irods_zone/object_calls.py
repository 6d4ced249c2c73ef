"""Calls that move, copy, remove and check whole objects."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from xml.etree.ElementTree import Element

from tests.irods_zone import (
    collection_calls,
    collection_paths,
    objects,
    permissions,
    ticket_opening,
)
from tests.irods_zone.catalogue import now, stamp
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.handlers import Caller, Reply, as_admin
from tests.irods_zone.packing import (
    keywords,
    number,
    pack,
    pack_text,
    text,
    unpack_json,
)


def unlink(caller: Caller, body: Element) -> Reply:
    """Remove an object: into the trash, or for good."""
    path, words = text(body, "objPath"), keywords(body)
    with caller.store.catalogue.change() as db:
        if as_admin(caller, words):
            rows = objects.replicas(db, path)
        else:
            rows = objects.require(db, caller.who, path, Level.DELETE)
            ticket_opening.count_change(db, caller.who, rows[0])
        if not rows:
            raise CallError(Status.NO_ROWS)
        if caller.store.token(rows[0]["id"]):
            raise CallError(Status.LOCKED_OBJECT)
        in_trash = path.startswith(f"/{caller.store.zone}/trash/")
        if "forceFlag" in words or in_trash or words.get("oprType") == "26":
            objects.remove(caller.store, db, rows[0]["id"])
        else:
            _require_file(rows[0])
            _place(db, rows[0]["id"], collection_calls.trash_path(caller, db, path))
    return Reply()


def rename(caller: Caller, body: Element) -> Reply:
    """Give an object or a collection another path."""
    source_input, target_input = body.findall("DataObjInp_PI")
    source, target = text(source_input, "objPath"), text(target_input, "objPath")
    with caller.store.catalogue.change() as db:
        collection = collection_paths.find(db, source)
        if collection is None:
            row = objects.require(db, caller.who, source, Level.DELETE)[0]
            if caller.store.token(row["id"]):
                raise CallError(Status.LOCKED_OBJECT)
            _require_free(caller, db, target)
            _require_file(row)
            _place(db, row["id"], target)
            return Reply()
        if permissions.level(db, caller.who, collection["id"]) < Level.DELETE:
            raise CallError(Status.NO_PERMISSION)
        if f"{target}/".startswith(f"{source}/"):
            raise CallError(Status.SAME_SOURCE_AND_TARGET)
        _require_free(caller, db, target)
        collection_calls.rename(db, source, target)
    return Reply()


def copy(caller: Caller, body: Element) -> Reply:
    """Copy an object."""
    source_input, target_input = body.findall("DataObjInp_PI")
    source, target = text(source_input, "objPath"), text(target_input, "objPath")
    words = keywords(target_input)
    objects.check_path(caller.store, source)
    objects.check_path(caller.store, target)
    if source == target:
        raise CallError(Status.SAME_SOURCE_AND_TARGET)
    with caller.store.catalogue.change() as db:
        row = objects.require(db, caller.who, source, Level.READ, Status.NO_SUCH_PATH)[0]
        if not Path(row["path"]).exists():
            raise CallError(Status.OPEN_ERROR - errno.ENOENT)
        made = _copy_target(caller, db, target, words)
        if caller.store.token(row["id"]) or caller.store.token(made["id"]):
            raise CallError(Status.HIERARCHY_ERROR)
        register = bool({"regChksum", "verifyChksum"} & words.keys())
        found = _fill(caller, db, row, made, register=register)
        failure = _copy_failure(caller, row, found, words)
        if failure:
            objects.leave_half(caller.store, db, made)
    if failure:
        raise CallError(failure)
    sent = {"numThreads": 0, "flags": 0, "bytesWritten": row["size"]}
    return Reply(body=pack("TransferStat_PI", **sent))


def checksum(caller: Caller, body: Element) -> Reply:
    """Give an object's checksum, computed if it has none; or verify it."""
    path, words = text(body, "objPath"), keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.require(db, caller.who, path, Level.READ)
        rows = objects.named(rows, words)
        if "verifyChksum" in words:
            return _verify(rows)
        chosen = rows if "ChksumAll" in words else rows[:1]
        found = ""
        for row in chosen:
            known = "" if "forceChksum" in words else row["checksum"]
            found = known or objects.checksum(row["path"])
            db.execute(
                "UPDATE replicas SET checksum = ? WHERE id = ? AND number = ?",
                (found, row["id"], row["number"]),
            )
    return Reply(body=pack_text(found))


def replicate(caller: Caller, body: Element) -> Reply:
    """Copy an object to another resource."""
    words = keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.require(db, caller.who, text(body, "objPath"), Level.READ)
        register = bool(rows[0]["checksum"])
        if "updateRepl" in words:
            for row in rows[1:]:
                if row["status"] != Replica.GOOD:
                    _fill(caller, db, rows[0], row, register=register)
            return Reply()
        resource = objects.find_resource(db, words)
        there = [row for row in rows if row["resource"] == resource["name"]]
        if there and there[0]["status"] == Replica.GOOD:
            raise CallError(Status.COPY_ALREADY_IN_RESOURCE)
        made = there[0] if there else objects.insert_replica(caller.store, db, rows[0], resource)
        _fill(caller, db, rows[0], made, register=register)
    return Reply(body=pack("TransferStat_PI", numThreads=0, flags=0, bytesWritten=0))


def trim(caller: Caller, body: Element) -> Reply:
    """Remove replicas beyond the ones to keep."""
    words = keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.require(db, caller.who, text(body, "objPath"), Level.DELETE)
        kept = int(words.get("copies", 2))
        wanted = [row for row in reversed(rows) if _is_named(row, words)]
        for row in wanted[: max(0, len(rows) - kept)]:
            caller.store.remove_file(row["path"])
            db.execute(
                "DELETE FROM replicas WHERE id = ? AND number = ?", (row["id"], row["number"])
            )
    return Reply()


def truncate(caller: Caller, body: Element) -> Reply:
    """Make an object shorter or longer."""
    size = number(body, "dataSize")
    with caller.store.catalogue.change() as db:
        path = text(body, "objPath")
        rows = objects.require(db, caller.who, path, Level.WRITE, Status.NO_SUCH_PATH)
        row = objects.named(rows, keywords(body))[0]
        file = objects.own_file(caller.store, row)
        os.truncate(file, size)
        db.execute("UPDATE replicas SET status = ? WHERE id = ?", (Replica.STALE, row["id"]))
        db.execute(
            "UPDATE replicas SET size = ?, path = ?, checksum = '', mtime = ?, status = 1"
            " WHERE id = ? AND number = ?",
            (size, file, now(), row["id"], row["number"]),
        )
    told = {"resource_hierarchy": row["resource"], "replica_number": row["number"]}
    return Reply(body=pack_text(json.dumps({**told, "message": ""})))


def touch(caller: Caller, body: Element) -> Reply:
    """Set a time of change, and make an empty object where there is none."""
    asked = unpack_json(body)
    path, options = str(asked["logical_path"]), dict(asked.get("options", {}))
    moment = stamp(float(options.get("seconds_since_epoch", time.time())))
    with caller.store.catalogue.change() as db:
        collection = collection_paths.find(db, path)
        if collection is not None:
            table, wanted = "collections", collection["id"]
        else:
            table, wanted = "replicas", _touched(caller, db, path, options)
        db.execute(f"UPDATE {table} SET mtime = ? WHERE id = ?", (moment, wanted))
    return Reply()


def _touched(
    caller: Caller, db: sqlite3.Connection, path: str, options: dict[str, object]
) -> int | None:
    rows = objects.readable(db, caller.who, path)
    if rows:
        return int(objects.require(db, caller.who, path, Level.WRITE)[0]["id"])
    if options.get("no_create"):
        return None
    place = objects.require_place(db, caller.who, path)
    name, resource = path.rpartition("/")[2], objects.find_resource(db, {})
    row = objects.insert(caller.store, db, caller.who, place, name, resource)
    db.execute("UPDATE replicas SET status = 1 WHERE id = ?", (row["id"],))
    return int(row["id"])


def _require_free(caller: Caller, db: sqlite3.Connection, path: str) -> None:
    if objects.replicas(db, path):
        raise CallError(Status.NAME_IS_OBJECT)
    objects.require_place(db, caller.who, path)


def _require_file(row: sqlite3.Row) -> None:
    if not Path(row["path"]).exists():
        raise CallError(Status.RENAME_ERROR - errno.ENOENT)


def _place(db: sqlite3.Connection, object_id: int, path: str) -> None:
    parent, name = collection_paths.split(path)
    collection = collection_paths.find(db, parent)
    if collection is None:
        raise CallError(Status.UNKNOWN_COLLECTION)
    db.execute(
        "UPDATE replicas SET collection_id = ?, name = ? WHERE id = ?",
        (collection["id"], name, object_id),
    )
    db.execute("UPDATE collections SET mtime = ? WHERE id = ?", (now(), collection["id"]))


def _copy_target(
    caller: Caller, db: sqlite3.Connection, path: str, words: dict[str, str]
) -> sqlite3.Row:
    if objects.replicas(db, path):
        if "forceFlag" not in words:
            raise CallError(Status.OVERWRITE_WITHOUT_FORCE)
        return objects.require(db, caller.who, path, Level.WRITE, Status.NO_PERMISSION)[0]
    place = objects.require_place(db, caller.who, path)
    name, resource = path.rpartition("/")[2], objects.find_resource(db, words)
    return objects.insert(caller.store, db, caller.who, place, name, resource)


def _copy_failure(caller: Caller, source: sqlite3.Row, found: str, words: dict[str, str]) -> int:
    limit = caller.store.copy_limit
    if limit is not None and source["size"] > limit:
        return Status.WRITE_ERROR - errno.ENOSPC
    expected = words.get("verifyChksum", "")
    return Status.CHECKSUM_MISMATCH if expected and found != expected else Status.OK


def _fill(
    caller: Caller,
    db: sqlite3.Connection,
    source: sqlite3.Row,
    made: sqlite3.Row,
    *,
    register: bool,
) -> str:
    file = objects.own_file(caller.store, made)
    shutil.copyfile(source["path"], file)
    found = objects.checksum(file) if register else ""
    db.execute(
        "UPDATE replicas SET status = 1, size = ?, checksum = ?, path = ?, mtime = ?"
        " WHERE id = ? AND number = ?",
        (Path(file).stat().st_size, found, file, now(), made["id"], made["number"]),
    )
    return found


def _verify(rows: list[sqlite3.Row]) -> Reply:
    found: list[dict[str, object]] = []
    for row in rows:
        if not row["checksum"]:
            message = f"No checksum available for replica [{row['number']}]."
            found.append(_finding(Status.NO_CHECKSUM, message, "warning"))
        elif row["checksum"] != objects.checksum(row["path"]):
            message = f"Computed checksum does not match that of replica [{row['number']}]."
            found.append(_finding(Status.CHECKSUM_MISMATCH, message, "error"))
    if not found:
        return Reply()
    return Reply(status=Status.VERIFICATION_RESULTS, body=pack_text(json.dumps(found)))


def _finding(status: int, message: str, severity: str) -> dict[str, object]:
    return {"error_code": int(status), "message": message, "severity": severity}


def _is_named(row: sqlite3.Row, words: dict[str, str]) -> bool:
    if "replNum" in words:
        return str(row["number"]) == words["replNum"]
    return row["resource"] == words.get("rescName", row["resource"])
