"""Choice of the replica that a call reads or writes, and of the resource for a new one."""

from __future__ import annotations

import sqlite3

from tests.irods_zone import objects
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.handlers import Caller
from tests.irods_zone.packing import DEBUG_MESSAGE
from tests.irods_zone.store import DOWN, RESOURCE

FINAL_STATUSES = (Replica.GOOD, Replica.STALE)
RESOURCE_WORDS = ("resc_hier", "rescName", "destRescName")


def is_locked(rows: list[sqlite3.Row]) -> bool:
    """Whether somebody writes an object, or its writer was killed."""
    return any(row["status"] not in FINAL_STATUSES for row in rows)


def accessible(rows: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """Give the replicas that may be opened: not locked, and on a resource that is up."""
    return [row for row in rows if row["status"] in FINAL_STATUSES and not is_down(row)]


def is_down(row: sqlite3.Row) -> bool:
    """Whether a replica's resource is down."""
    return bool(row["resource_status"] == DOWN)


def to_read(db: sqlite3.Connection, rows: list[sqlite3.Row], words: dict[str, str]) -> sqlite3.Row:
    """Choose the replica to read."""
    rows = numbered(rows, words)
    named = resource_named(db, words)
    there = [row for row in rows if row["resource"] == named]
    found = accessible(there) or accessible(rows)
    if not found:
        raise CallError(Status.HIERARCHY_ERROR)
    return found[0]


def to_write(
    caller: Caller,
    db: sqlite3.Connection,
    rows: list[sqlite3.Row],
    words: dict[str, str],
    *,
    creates: bool,
) -> sqlite3.Row:
    """Choose the replica to write; on a resource without one it is made."""
    rows = numbered(rows, words)
    if not objects.may(db, caller.who, rows[0], Level.WRITE):
        where = rows[0]["collection"]
        raise CallError(Status.NO_PERMISSION, f"no permission to update collection '{where}'")
    named = resource_named(db, words)
    if creates and not named and "replNum" not in words:
        # What might be made would be on the default resource, so it is made there if it isn't.
        named = _default_if_up(db)
    there = [row for row in rows if row["resource"] == named]
    if is_locked(rows):
        if named and not there:
            raise CallError(Status.LOCKED_OBJECT)
        held = caller.store.token(rows[0]["id"])
        if not held or words.get("replicaToken") != held:
            raise CallError(Status.HIERARCHY_ERROR)
        return (there or rows)[0]
    found = accessible(there) or ([] if named and not there else accessible(rows))
    if found:
        return found[0]
    if not creates and not named:
        raise CallError(Status.HIERARCHY_ERROR)
    resource = for_new_replica(db, words)
    known = [row for row in rows if row["resource"] == resource["name"]]
    return known[0] if known else objects.insert_replica(caller.store, db, rows[0], resource)


def numbered(rows: list[sqlite3.Row], words: dict[str, str]) -> list[sqlite3.Row]:
    """Give the replica of the number that a call names, or all where it names none."""
    if "replNum" not in words:
        return rows
    rows = [row for row in rows if str(row["number"]) == words["replNum"]]
    if not rows:
        raise CallError(Status.NO_SUCH_REPLICA)
    return rows


def resource_named(db: sqlite3.Connection, words: dict[str, str]) -> str:
    """Give the resource that a call names, which must be there; nothing where it names none."""
    named = next((words[word] for word in RESOURCE_WORDS if words.get(word)), "")
    return str(objects.find_resource(db, words)["name"]) if named else ""


def _default_if_up(db: sqlite3.Connection) -> str:
    resource = objects.find_resource(db, {})
    return "" if resource["status"] == DOWN else str(resource["name"])


def for_new_replica(db: sqlite3.Connection, words: dict[str, str]) -> sqlite3.Row:
    """Give the resource of a new replica: the one named, or where that is down the default."""
    resource = objects.find_resource(db, words)
    if resource["status"] == DOWN:
        resource = objects.find_resource(db, {"rescName": RESOURCE})
    if resource["status"] == DOWN:
        raise CallError(Status.INVALID_INPUT, DEBUG_MESSAGE)
    return resource
