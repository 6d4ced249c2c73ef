"""Tickets: a string that lets its bearer into an object or a collection."""

from __future__ import annotations

import sqlite3
import time
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, permissions
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Level, Status
from tests.irods_zone.packing import keywords, text
from tests.irods_zone.permissions import Identity

EXCLUDED = {
    "host": Status.TICKET_HOST_EXCLUDED,
    "user": Status.TICKET_USER_EXCLUDED,
    "group": Status.TICKET_GROUP_EXCLUDED,
}
LIMITS = {"uses": "uses_limit", "write-file": "write_limit", "write-bytes": "byte_limit"}


def covers(
    db: sqlite3.Connection, who: Identity, object_id: int, collection: str, *, writing: bool
) -> bool:
    """Whether the ticket of a connection lets it into an object; refused if it is used up."""
    ticket = db.execute("SELECT * FROM tickets WHERE string = ?", (who.ticket,)).fetchone()
    if ticket is None:
        raise CallError(Status.TICKET_INVALID)
    if ticket["object_id"] != object_id and not _is_in(db, ticket, collection):
        return False
    if ticket["expiry"] and float(ticket["expiry"]) < time.time():
        raise CallError(Status.TICKET_EXPIRED)
    if ticket["uses_limit"] and ticket["uses"] >= ticket["uses_limit"]:
        raise CallError(Status.TICKET_USES_EXCEEDED)
    _check_limits(db, who, ticket["id"])
    if writing and ticket["write_limit"] and ticket["writes"] >= ticket["write_limit"]:
        raise CallError(Status.TICKET_WRITES_EXCEEDED)
    return not writing or ticket["type"] == "write"


def reaches(db: sqlite3.Connection, string: str, target: int, collection: str) -> bool:
    """Whether a ticket is for an object or collection, or for one that it is in."""
    ticket = db.execute("SELECT * FROM tickets WHERE string = ?", (string,)).fetchone()
    if ticket is None:
        return False
    return bool(ticket["object_id"] == target) or _is_in(db, ticket, collection)


def use(db: sqlite3.Connection, ticket: str, *, writing: bool) -> None:
    """Count a use of a ticket."""
    db.execute(
        "UPDATE tickets SET uses = uses + 1, writes = writes + ? WHERE string = ?",
        (int(writing), ticket),
    )


def administer(db: sqlite3.Connection, who: Identity, body: Element, new_id: int) -> None:
    """Create, change or delete a ticket."""
    command, string, first, second = (text(body, f"arg{number}") for number in range(1, 5))
    if command == "create":
        _create(db, who, new_id, string, first, second)
        return
    ticket = db.execute("SELECT * FROM tickets WHERE string = ?", (string,)).fetchone()
    forced = who.admin and "irodsAdmin" in keywords(body)
    if ticket is None or (ticket["user_id"] != who.user_id and not forced):
        raise CallError(Status.TICKET_INVALID)
    if command == "delete":
        db.execute("DELETE FROM tickets WHERE id = ?", (ticket["id"],))
        db.execute("DELETE FROM ticket_limits WHERE ticket_id = ?", (ticket["id"],))
    elif command == "mod":
        _change(db, ticket["id"], first, second, text(body, "arg5"))
    else:
        raise CallError(Status.INVALID_ARGUMENT)


def _create(
    db: sqlite3.Connection, who: Identity, new_id: int, string: str, kind: str, path: str
) -> None:
    collection = collection_paths.find(db, path)
    parent, name = collection_paths.split(path)
    row = (
        collection
        or db.execute(
            "SELECT r.id FROM replicas r JOIN collections c ON c.id = r.collection_id"
            " WHERE c.name = ? AND r.name = ?",
            (parent, name),
        ).fetchone()
    )
    if row is None:
        raise CallError(Status.UNKNOWN_COLLECTION)
    if permissions.level(db, who, row["id"]) < Level.OWN:
        raise CallError(Status.NO_PERMISSION)
    if kind not in ("read", "write"):
        raise CallError(Status.INVALID_ARGUMENT)
    target = "collection" if collection else "data"
    db.execute(
        "INSERT INTO tickets (id, string, type, user_id, object_id, object_type, ctime, mtime)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (new_id, string, kind, who.user_id, row["id"], target, now(), now()),
    )


def _change(db: sqlite3.Connection, ticket_id: int, what: str, value: str, name: str) -> None:
    if what.startswith("expir"):
        expiry = "" if value == "0" else f"{int(value):011d}"
        db.execute("UPDATE tickets SET expiry = ? WHERE id = ?", (expiry, ticket_id))
    elif what in LIMITS:
        db.execute(f"UPDATE tickets SET {LIMITS[what]} = ? WHERE id = ?", (int(value), ticket_id))
    elif what == "add":
        db.execute("INSERT INTO ticket_limits VALUES (?, ?, ?)", (ticket_id, value, name))
    elif what == "remove":
        db.execute(
            "DELETE FROM ticket_limits WHERE ticket_id = ? AND kind = ? AND name = ?",
            (ticket_id, value, name),
        )
    else:
        raise CallError(Status.INVALID_ARGUMENT)
    db.execute("UPDATE tickets SET mtime = ? WHERE id = ?", (now(), ticket_id))


def _is_in(db: sqlite3.Connection, ticket: sqlite3.Row, collection: str) -> bool:
    top = db.execute("SELECT name FROM collections WHERE id = ?", (ticket["object_id"],)).fetchone()
    return top is not None and f"{collection}/".startswith(f"{top['name']}/")


def _check_limits(db: sqlite3.Connection, who: Identity, ticket_id: int) -> None:
    groups = db.execute(
        "SELECT u.name FROM members m JOIN users u ON u.id = m.group_id WHERE m.user_id = ?",
        (who.user_id,),
    )
    own = {"host": {who.host}, "user": {who.name}, "group": {row["name"] for row in groups}}
    for kind, mine in own.items():
        rows = db.execute(
            "SELECT name FROM ticket_limits WHERE ticket_id = ? AND kind = ?", (ticket_id, kind)
        )
        allowed = {row["name"] for row in rows}
        if allowed and not allowed & mine:
            raise CallError(EXCLUDED[kind])
