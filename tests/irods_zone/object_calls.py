"""Calls that remove, check, truncate and touch whole objects."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from xml.etree.ElementTree import Element

from tests.irods_zone import (
    collection_calls,
    collection_paths,
    hierarchy,
    objects,
    renaming,
    ticket_opening,
    vault,
)
from tests.irods_zone.catalogue import now, stamp
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.handlers import Caller, Reply, as_admin
from tests.irods_zone.packing import (
    OLD_TRUNCATE,
    keywords,
    number,
    pack_error,
    pack_text,
    text,
    unpack_json,
)

CHECKSUM_DIFFERS = (
    "verifyDataObjChksum: computed checksum [{found}] != catalog value [{known}] for [{path}]"
    " hierarchy [{resource}] replica number [{number}]"
)


def unlink(caller: Caller, body: Element) -> Reply:
    """Remove an object: into the trash, or for good."""
    path, words = text(body, "objPath"), keywords(body)
    in_trash = path.startswith(f"/{caller.store.zone}/trash/")
    forced = "forceFlag" in words or in_trash or words.get("oprType") == "26"
    with caller.store.catalogue.change() as db:
        if as_admin(caller, words):
            rows = objects.replicas(db, path)
        else:
            rows = objects.require(db, caller.who, path, Level.DELETE)
            ticket_opening.count_change(db, caller.who, rows[0])
        if not rows:
            raise CallError(Status.NO_ROWS)
        if hierarchy.is_locked(rows):
            raise CallError(Status.LOCKED_OBJECT if forced else Status.HIERARCHY_ERROR)
        if forced:
            objects.remove(db, rows[0]["id"])
            changed = (now(), rows[0]["collection_id"])
            db.execute("UPDATE collections SET mtime = ? WHERE id = ?", changed)
        elif not hierarchy.accessible(rows):
            raise CallError(Status.HIERARCHY_ERROR)
        else:
            target = collection_calls.trash_path(caller, db, path)
    if not forced:
        renaming.move_rows(caller, rows[0], rows, path, target)
        return Reply()
    # The rows are gone even where the files can't be reached.
    for row in rows:
        if hierarchy.is_down(row):
            raise CallError(Status.RESOURCE_DOWN)
        caller.store.remove_file(row["path"])
    return Reply()


def checksum(caller: Caller, body: Element) -> Reply:
    """Give an object's checksum, computed if it has none; or verify it."""
    path, words = text(body, "objPath"), keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.require(db, caller.who, path, Level.READ)
        rows = hierarchy.accessible(objects.named(rows, words))
        if not rows:
            raise CallError(Status.HIERARCHY_ERROR)
        if "verifyChksum" in words:
            return _verify(rows)
        chosen = rows if "ChksumAll" in words else rows[:1]
        found = ""
        for row in chosen:
            known = "" if "forceChksum" in words else row["checksum"]
            found = known or objects.checksum(row["path"])
            if found != row["checksum"]:
                db.execute(
                    "UPDATE replicas SET checksum = ? WHERE id = ? AND number = ?",
                    (found, row["id"], row["number"]),
                )
    return Reply(body=pack_text(found))


def trim(caller: Caller, body: Element) -> Reply:
    """Remove replicas beyond the ones to keep."""
    words = keywords(body)
    with caller.store.catalogue.change() as db:
        rows = objects.require(db, caller.who, text(body, "objPath"), Level.DELETE)
        if hierarchy.is_locked(rows):
            raise CallError(Status.HIERARCHY_ERROR)
        kept = int(words.get("copies", 2))
        wanted = [row for row in reversed(rows) if _is_named(row, words)]
        for row in wanted[: max(0, len(rows) - kept)]:
            caller.store.remove_file(row["path"])
            db.execute(
                "DELETE FROM replicas WHERE id = ? AND number = ?", (row["id"], row["number"])
            )
    return Reply()


def truncate_as_before(caller: Caller, body: Element) -> Reply:
    """Make an object shorter or longer by the call that the server calls an old one."""
    truncate(caller, body)
    return Reply(error=pack_error(OLD_TRUNCATE))


def truncate(caller: Caller, body: Element) -> Reply:
    """Make an object shorter or longer."""
    size = number(body, "dataSize")
    with caller.store.catalogue.change() as db:
        path = text(body, "objPath")
        rows = objects.require(db, caller.who, path, Level.WRITE, Status.NO_SUCH_PATH)
        row = objects.named(rows, keywords(body))[0]
        file = vault.own_file(caller.store, db, row)
        os.truncate(file, size)
        status = row["status"]
        if not hierarchy.is_locked(rows):
            db.execute("UPDATE replicas SET status = ? WHERE id = ?", (Replica.STALE, row["id"]))
            status = Replica.GOOD
        db.execute(
            "UPDATE replicas SET size = ?, path = ?, checksum = '', mtime = ?, status = ?"
            " WHERE id = ? AND number = ?",
            (size, file, now(), status, row["id"], row["number"]),
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
    if hierarchy.is_locked(rows):
        raise CallError(Status.NO_GOOD_REPLICA, "SYS_NO_GOOD_REPLICA: No good replicas found.\n\n")
    if rows:
        return int(objects.require(db, caller.who, path, Level.WRITE)[0]["id"])
    if options.get("no_create"):
        return None
    place = objects.require_place(db, caller.who, path)
    name, resource = path.rpartition("/")[2], objects.find_resource(db, {})
    row = objects.insert(caller.store, db, caller.who, place, name, resource)
    db.execute("UPDATE replicas SET status = 1 WHERE id = ?", (row["id"],))
    return int(row["id"])


def _verify(rows: list[sqlite3.Row]) -> Reply:
    """Say what is wrong with replicas: their files against their rows."""
    found: list[dict[str, object]] = []
    error = ""
    for row in rows:
        findings, message = _verified(row)
        found += findings
        error = error or message
    if not found:
        return Reply()
    return Reply(
        status=Status.VERIFICATION_RESULTS,
        body=pack_text(json.dumps(found, separators=(",", ":"))),
        error=pack_error(error, Status.CHECKSUM_MISMATCH),
    )


def _verified(row: sqlite3.Row) -> tuple[list[dict[str, object]], str]:
    which = f"replica [{row['number']}]"
    unknown = f"ERROR: Could not verify checksum for {which}."
    try:
        size = vault.size(row["path"])
    except CallError as error:
        why = f"ERROR: Could not verify size for {which}."
        missing = Status.OPEN_ERROR - errno.ENOENT
        return [_finding(error.status, why), _finding(missing, unknown)], ""
    found: list[dict[str, object]] = []
    if size != row["size"]:
        why = f"ERROR: Physical size does not match size in catalog for {which}."
        found.append(_finding(Status.SIZE_DIFFERS, why))
    if size < row["size"]:
        return [*found, _finding(Status.READ_ERROR, unknown)], ""
    if not row["checksum"]:
        why = f"WARNING: No checksum available for {which}."
        return [*found, _finding(Status.NO_CHECKSUM, why, "warning")], ""
    computed = objects.checksum(row["path"], row["size"])
    if row["checksum"] == computed:
        return found, ""
    why = f"ERROR: Computed checksum does not match what is in the catalog for {which}."
    return [*found, _finding(Status.CHECKSUM_MISMATCH, why)], CHECKSUM_DIFFERS.format(
        found=computed,
        known=row["checksum"],
        path=f"{row['collection']}/{row['name']}",
        resource=row["resource"],
        number=row["number"],
    )


def _finding(status: int, message: str, severity: str = "error") -> dict[str, object]:
    return {"error_code": int(status), "message": message, "severity": severity}


def _is_named(row: sqlite3.Row, words: dict[str, str]) -> bool:
    if "replNum" in words:
        return str(row["number"]) == words["replNum"]
    return row["resource"] == words.get("rescName", row["resource"])
