"""Tickets: a string that lets its bearer into an object or a collection."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
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
DATE = "%Y-%m-%d.%H:%M:%S"
LIMITS = {"uses": "uses_limit", "write-file": "write_limit", "write-bytes": "byte_limit"}


def reaches(db: sqlite3.Connection, string: str, target: int, collection: str) -> bool:
    """Whether a ticket is for an object or collection, or for one that it is in."""
    ticket = _find(db, string)
    if ticket is None:
        return False
    return bool(ticket["object_id"] == target) or _is_in(db, ticket, collection)


def may_write(db: sqlite3.Connection, string: str, target: int, collection: str) -> bool:
    """Whether a ticket reaches something and is one for writing."""
    ticket = _find(db, string)
    return bool(
        ticket is not None and ticket["type"] == "write" and reaches(db, string, target, collection)
    )


def check(db: sqlite3.Connection, who: Identity, target: int, *, writing: bool) -> None:
    """Refuse a ticket that does not let in (any more); what it reaches is looked at before."""
    ticket = _require(db, who)
    if writing and ticket["type"] != "write":
        raise CallError(Status.TICKET_INVALID)
    if ticket["expiry"] and float(ticket["expiry"]) < time.time():
        raise CallError(Status.TICKET_EXPIRED)
    _check_limits(db, who, ticket["id"])
    limit = ticket["uses_limit"]
    if limit and ticket["uses"] >= limit and who.counted.get("uses") != target:
        raise CallError(Status.TICKET_USES_EXCEEDED)
    if writing and (refused := _refusal(ticket)) != Status.OK:
        raise CallError(refused)


def count(db: sqlite3.Connection, who: Identity, target: int, *, writing: bool) -> None:
    """Count a use of a ticket: once as long as a connection stays with one object.

    The server counts uses only of a ticket that has a limit of them, and files that are written
    also beyond the limit; so the next one is refused.
    """
    ticket = _require(db, who)
    counters = {"uses": bool(ticket["uses_limit"]), "writes": writing}
    for counter, counts in counters.items():
        if counts and who.counted.get(counter) != target:
            db.execute(
                f"UPDATE tickets SET {counter} = {counter} + 1 WHERE id = ?", (ticket["id"],)
            )
            who.counted[counter] = target


def is_spent(db: sqlite3.Connection, who: Identity) -> bool:
    """Whether a ticket lets nothing more be written."""
    return _refusal(_require(db, who)) != Status.OK


def count_closed(db: sqlite3.Connection, who: Identity, target: int, size: int) -> Status:
    """Count what was written to an object that is closed; give why it is refused all the same."""
    ticket = _require(db, who)
    if ticket["byte_limit"]:
        db.execute("UPDATE tickets SET bytes = bytes + ? WHERE id = ?", (size, ticket["id"]))
    refused = _refusal(_require(db, who))
    if refused == Status.OK:
        count(db, who, target, writing=True)
    return refused


def _refusal(ticket: sqlite3.Row) -> Status:
    if ticket["write_limit"] and ticket["writes"] > ticket["write_limit"]:
        return Status.TICKET_WRITES_EXCEEDED
    if ticket["byte_limit"] and ticket["bytes"] > ticket["byte_limit"]:
        return Status.TICKET_BYTES_EXCEEDED
    return Status.OK


def _find(db: sqlite3.Connection, string: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM tickets WHERE string = ?", (string,)
    ).fetchone()
    return row


def _require(db: sqlite3.Connection, who: Identity) -> sqlite3.Row:
    ticket = _find(db, who.ticket)
    if ticket is None:
        raise CallError(Status.TICKET_INVALID)
    return ticket


def administer(db: sqlite3.Connection, who: Identity, body: Element, new_id: int) -> None:
    """Create, change or delete a ticket."""
    command, string, first, second = (text(body, f"arg{number}") for number in range(1, 5))
    if command == "create":
        _create(db, who, new_id, string, first, second)
        return
    ticket = _find(db, string)
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
    if row is None or permissions.level(db, who, row["id"]) < Level.OWN:
        raise CallError(Status.UNKNOWN_COLLECTION)
    if _find(db, string) is not None:
        raise CallError(Status.ALREADY_EXISTS)
    target = "collection" if collection else "data"
    db.execute(
        "INSERT INTO tickets (id, string, type, user_id, object_id, object_type, ctime, mtime)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (new_id, string, kind, who.user_id, row["id"], target, now(), now()),
    )


def _change(db: sqlite3.Connection, ticket_id: int, what: str, value: str, name: str) -> None:
    if what.startswith("expir"):
        expiry = "" if value == "0" else f"{_moment(value):011d}"
        db.execute("UPDATE tickets SET expiry = ? WHERE id = ?", (expiry, ticket_id))
    elif what in LIMITS:
        if not value.isdigit():
            raise CallError(Status.SQL_ERROR)
        db.execute(f"UPDATE tickets SET {LIMITS[what]} = ? WHERE id = ?", (int(value), ticket_id))
    elif what == "add":
        _check_name(db, value, name)
        db.execute("INSERT INTO ticket_limits VALUES (?, ?, ?)", (ticket_id, value, name))
    elif what == "remove":
        db.execute(
            "DELETE FROM ticket_limits WHERE ticket_id = ? AND kind = ? AND name = ?",
            (ticket_id, value, name),
        )
    else:
        raise CallError(Status.INVALID_ARGUMENT)
    db.execute("UPDATE tickets SET mtime = ? WHERE id = ?", (now(), ticket_id))


def _moment(value: str) -> int:
    """Read seconds since the epoch, or a date with a time."""
    if value.isdigit():
        return int(value)
    try:
        return int(datetime.strptime(value, DATE).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise CallError(Status.INVALID_ARGUMENT) from error


def _check_name(db: sqlite3.Connection, kind: str, name: str) -> None:
    missing = {"user": Status.INVALID_USER, "group": Status.INVALID_GROUP}
    if kind in missing:
        test = "=" if kind == "group" else "!="
        sql = f"SELECT 1 FROM users WHERE name = ? AND type {test} 'rodsgroup'"
        if not db.execute(sql, (name,)).fetchone():
            raise CallError(missing[kind])


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
