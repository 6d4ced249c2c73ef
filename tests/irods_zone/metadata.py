"""Attributes, values and units of objects, collections, resources and users."""

from __future__ import annotations

import sqlite3
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, objects, permissions
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Level, Status
from tests.irods_zone.handlers import Caller, Reply, as_admin
from tests.irods_zone.packing import arguments, keywords, pack_json, unpack_json

MISSING = (
    Status.UNKNOWN_FILE,
    Status.UNKNOWN_COLLECTION,
    Status.INVALID_USER,
    Status.INVALID_RESOURCE,
)
LONGEST, LONGEST_UNITS = 2700, 250
KINDS = {"data_object": "-d", "collection": "-C", "resource": "-R", "user": "-u"}


def modify(caller: Caller, body: Element) -> Reply:
    """Add, set, remove or copy metadata."""
    command, kind, name, *rest = arguments(body, (f"arg{number}" for number in range(10)))
    forced = as_admin(caller, keywords(body))
    with caller.store.catalogue.change() as db:
        if command == "cp":
            _copy(caller, db, kind, name, rest[0], rest[1], forced=forced)
            return Reply()
        object_id = _target(caller, db, kind, name, forced=forced)
        if command in ("add", "adda"):
            add(caller, db, object_id, *rest[:3])
        elif command == "set":
            _clear(db, object_id, rest[0])
            add(caller, db, object_id, *rest[:3])
        elif command in ("rm", "rmw"):
            _remove(db, object_id, *rest[:3], like=command == "rmw")
        else:
            raise CallError(Status.INVALID_ARGUMENT)
    return Reply()


def apply(caller: Caller, body: Element) -> Reply:
    """Do several operations as one: all of them or none."""
    asked = unpack_json(body)
    kind, name = KINDS.get(str(asked["entity_type"]), ""), str(asked["entity_name"])
    forced = bool(asked.get("admin_mode"))
    with caller.store.catalogue.change() as db:
        try:
            object_id = _target(caller, db, kind, name, forced=forced and caller.who.admin)
        except CallError as refused:
            if refused.status not in MISSING:
                raise
            message = f"Entity does not exist [entity_name={name}]"
            return Reply(status=Status.NO_SUCH_PATH, body=pack_json({"error_message": message}))
        for each in asked["operations"]:
            avu = (str(each["attribute"]), str(each["value"]), str(each.get("units", "")))
            if each["operation"] == "add":
                _attach_or_fail(caller, db, object_id, *avu)
            elif each["operation"] == "remove":
                _detach(db, object_id, *avu)
            else:
                raise CallError(Status.INVALID_INPUT)
    return Reply(body=pack_json({}))


def add(
    caller: Caller, db: sqlite3.Connection, object_id: int, name: str, value: str, units: str
) -> None:
    """Add one; the same twice is refused."""
    if not _attach(caller, db, object_id, name, value, units):
        raise CallError(Status.ALREADY_EXISTS)


def _attach(
    caller: Caller, db: sqlite3.Connection, object_id: int, name: str, value: str, units: str
) -> bool:
    if not name or not value:
        raise CallError(Status.INVALID_ARGUMENT)
    if max(len(name), len(value)) > LONGEST or len(units) > LONGEST_UNITS:
        raise CallError(Status.SQL_ERROR)
    row = _find(db, name, value, units)
    avu_id = row["id"] if row else caller.store.catalogue.new_id()
    if row is None:
        db.execute(
            "INSERT INTO avus VALUES (?, ?, ?, ?, ?, ?)",
            (avu_id, name, value, units, now(), now()),
        )
    added = db.execute("INSERT OR IGNORE INTO avu_of VALUES (?, ?)", (object_id, avu_id))
    return added.rowcount == 1


def _attach_or_fail(
    caller: Caller, db: sqlite3.Connection, object_id: int, name: str, value: str, units: str
) -> None:
    try:
        _attach(caller, db, object_id, name, value, units)
    except CallError as refused:
        if refused.status == Status.SQL_ERROR:
            raise CallError(Status.LIBRARY_ERROR) from refused
        raise


def _detach(db: sqlite3.Connection, object_id: int, name: str, value: str, units: str) -> bool:
    row = _find(db, name, value, units)
    if row is None:
        return False
    done = db.execute(
        "DELETE FROM avu_of WHERE object_id = ? AND avu_id = ?", (object_id, row["id"])
    )
    return done.rowcount == 1


def _remove(
    db: sqlite3.Connection, object_id: int, name: str, value: str, units: str, *, like: bool
) -> None:
    if not like:
        if not _detach(db, object_id, name, value, units):
            raise CallError(Status.NO_INFO)
        return
    db.execute(
        "DELETE FROM avu_of WHERE object_id = ? AND avu_id IN (SELECT id FROM avus"
        " WHERE name LIKE ? AND value LIKE ? AND units LIKE ?)",
        (object_id, name, value, units or "%"),
    )


def _clear(db: sqlite3.Connection, object_id: int, name: str) -> None:
    db.execute(
        "DELETE FROM avu_of WHERE object_id = ? AND avu_id IN (SELECT id FROM avus WHERE name = ?)",
        (object_id, name),
    )


def _copy(
    caller: Caller,
    db: sqlite3.Connection,
    kind: str,
    target_kind: str,
    source: str,
    target: str,
    *,
    forced: bool,
) -> None:
    source_id = _target(caller, db, kind, source, forced=forced, wanted=Level.READ)
    target_id = _target(caller, db, target_kind, target, forced=forced)
    db.execute(
        "INSERT OR IGNORE INTO avu_of SELECT ?, avu_id FROM avu_of WHERE object_id = ?",
        (target_id, source_id),
    )


def _find(db: sqlite3.Connection, name: str, value: str, units: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT id FROM avus WHERE name = ? AND value = ? AND units = ?", (name, value, units)
    ).fetchone()
    return row


def _target(
    caller: Caller,
    db: sqlite3.Connection,
    kind: str,
    name: str,
    *,
    forced: bool,
    wanted: int = Level.MODIFY_METADATA,
) -> int:
    if kind in ("-u", "-R"):
        return _account(caller, db, kind, name)
    if kind.lower() == "-c":
        row = collection_paths.find(db, name)
        missing = Status.UNKNOWN_COLLECTION
    elif kind == "-d":
        rows = objects.replicas(db, name)
        row, missing = (rows[0] if rows else None), Status.UNKNOWN_FILE
    else:
        raise CallError(Status.INVALID_ARGUMENT)
    if row is None:
        raise CallError(missing)
    within = row["collection_id"] if kind == "-d" else row["id"]
    found = min(permissions.level(db, caller.who, row["id"]), _shown(caller, db, within))
    if not forced and found < wanted:
        raise CallError(Status.NO_PERMISSION)
    return int(row["id"])


def _shown(caller: Caller, db: sqlite3.Connection, collection_id: int) -> int:
    """Give no level for what is in a collection that one may not see, else all of them."""
    found = permissions.level(db, caller.who, collection_id)
    return Level.OWN if found >= Level.READ or caller.who.admin else Level.NULL


def _account(caller: Caller, db: sqlite3.Connection, kind: str, name: str) -> int:
    table, missing = {
        "-u": ("users", Status.INVALID_USER),
        "-R": ("resources", Status.INVALID_RESOURCE),
    }[kind]
    row = db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise CallError(missing)
    if not caller.who.admin:
        raise CallError(Status.INSUFFICIENT_PRIVILEGE)
    return int(row["id"])
