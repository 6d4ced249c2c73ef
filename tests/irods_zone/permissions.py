"""Permissions: access levels on objects and collections."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths
from tests.irods_zone.codes import CallError, Level, Status
from tests.irods_zone.packing import number, text

LEVELS = {
    "null": Level.NULL,
    "none": Level.NULL,
    "read": Level.READ,
    "read_object": Level.READ,
    "read_metadata": Level.READ_METADATA,
    "create_metadata": Level.CREATE_METADATA,
    "modify_metadata": Level.MODIFY_METADATA,
    "delete_metadata": Level.DELETE_METADATA,
    "create_object": Level.CREATE,
    "write": Level.WRITE,
    "modify_object": Level.WRITE,
    "delete_object": Level.DELETE,
    "own": Level.OWN,
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a connection acts for."""

    user_id: int
    name: str
    zone: str
    admin: bool
    host: str = ""
    ticket: str = ""
    counted: dict[str, int] = field(default_factory=dict, compare=False)
    """What this connection's use of the ticket was last counted for."""


def level(db: sqlite3.Connection, who: Identity, object_id: int) -> int:
    """Give the highest level that a user has on an object, groups included."""
    (found,) = db.execute(
        "SELECT max(level) FROM access WHERE object_id = ? AND user_id IN"
        " (SELECT group_id FROM members WHERE user_id = ?)",
        (object_id, who.user_id),
    ).fetchone()
    return int(found or 0)


def grant(db: sqlite3.Connection, object_id: int, user_id: int, granted: int) -> None:
    """Set the level of a user or group on an object."""
    if granted <= Level.NULL:
        db.execute("DELETE FROM access WHERE object_id = ? AND user_id = ?", (object_id, user_id))
        return
    db.execute("INSERT OR REPLACE INTO access VALUES (?, ?, ?)", (object_id, user_id, granted))


def inherit(db: sqlite3.Connection, parent: sqlite3.Row, object_id: int, creator: int) -> None:
    """Give a new object its creator's ownership and what its collection passes on."""
    if parent["inherit"] == "1":
        db.execute(
            "INSERT OR IGNORE INTO access SELECT ?, user_id, level FROM access WHERE object_id = ?",
            (object_id, parent["id"]),
        )
    grant(db, object_id, creator, Level.OWN)


def modify(db: sqlite3.Connection, who: Identity, body: Element) -> None:
    """Do what `ichmod` asks: a level for somebody, or inheritance."""
    asked = text(body, "accessLevel")
    as_admin = asked.startswith("admin:")
    asked = asked.removeprefix("admin:").replace(" ", "_")
    if as_admin and not who.admin:
        raise CallError(Status.INSUFFICIENT_PRIVILEGE)
    targets = _targets(db, text(body, "path"), recursive=bool(number(body, "recursiveFlag")))
    if not as_admin and level(db, who, targets[0]) < Level.OWN:
        raise CallError(Status.NO_PERMISSION)
    if asked in ("inherit", "noinherit"):
        value = "1" if asked == "inherit" else "0"
        db.executemany(
            "UPDATE collections SET inherit = ? WHERE id = ?", [(value, each) for each in targets]
        )
        return
    if asked not in LEVELS:
        raise CallError(Status.INVALID_ARGUMENT, f"no access level is called '{asked}'")
    somebody = find_user(db, text(body, "userName"), text(body, "zone") or who.zone)
    for each in targets:
        grant(db, each, somebody, LEVELS[asked])


def find_user(db: sqlite3.Connection, name: str, zone: str) -> int:
    """Give the number of a user or group."""
    row = db.execute("SELECT id FROM users WHERE name = ? AND zone = ?", (name, zone)).fetchone()
    if row is None:
        raise CallError(Status.INVALID_USER)
    return int(row["id"])


def _targets(db: sqlite3.Connection, path: str, *, recursive: bool) -> list[int]:
    collection = collection_paths.find(db, path)
    if collection is None:
        parent, name = collection_paths.split(path)
        row = db.execute(
            "SELECT r.id FROM replicas r JOIN collections c ON c.id = r.collection_id"
            " WHERE c.name = ? AND r.name = ?",
            (parent, name),
        ).fetchone()
        if row is None:
            raise CallError(Status.NO_ROWS)
        return [int(row["id"])]
    if not recursive:
        return [int(collection["id"])]
    below = collection_paths.below(db, path)
    placeholders = collection_paths.placeholders(below)
    objects = db.execute(
        f"SELECT DISTINCT id FROM replicas WHERE collection_id IN ({placeholders})", below
    )
    return [*below, *(int(row["id"]) for row in objects)]
