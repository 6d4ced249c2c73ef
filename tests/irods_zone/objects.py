"""Data objects and their replicas in the catalogue."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import sqlite3
from pathlib import Path

from tests.irods_zone import collection_paths, permissions, tickets, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.connection import ConnectionLost
from tests.irods_zone.permissions import Identity
from tests.irods_zone.store import RESOURCE, Store

NAME_BYTES = 255
_REPLICAS = (
    "SELECT r.*, c.name AS collection, s.vault, s.status AS resource_status FROM replicas r"
    " JOIN collections c ON c.id = r.collection_id JOIN resources s ON s.id = r.resource_id"
)


def replicas(db: sqlite3.Connection, path: str) -> list[sqlite3.Row]:
    """Give the replicas of an object, good ones first."""
    parent, name = collection_paths.split(path)
    return db.execute(
        f"{_REPLICAS} WHERE c.name = ? AND r.name = ? ORDER BY r.status != 1, r.number",
        (parent, name),
    ).fetchall()


def readable(db: sqlite3.Connection, who: Identity, path: str) -> list[sqlite3.Row]:
    """Give the replicas of an object that may be read; what may not be read does not exist."""
    rows = replicas(db, path)
    if not rows:
        return []
    row = rows[0]
    visible = is_visible(db, who, row["id"], row["collection"], within=row["collection_id"])
    return rows if visible else []


def is_visible(
    db: sqlite3.Connection, who: Identity, target: int, collection: str, *, within: int = 0
) -> bool:
    """Whether somebody may know of an object in a collection, or of a collection itself."""
    if who.ticket and tickets.reaches(db, who.ticket, target, collection):
        return True
    if who.admin:
        return True
    return all(permissions.level(db, who, each) >= Level.READ for each in (target, within) if each)


def may(db: sqlite3.Connection, who: Identity, row: sqlite3.Row, wanted: int) -> bool:
    """Whether somebody may do something with an object; a ticket lets read and write it."""
    by_ticket = bool(who.ticket) and wanted <= Level.WRITE
    if by_ticket and tickets.reaches(db, who.ticket, row["id"], row["collection"]):
        tickets.check(db, who, row["id"], writing=wanted > Level.READ)
        return True
    if who.admin and wanted <= Level.READ:
        return True
    return permissions.level(db, who, row["id"]) >= wanted


def require(
    db: sqlite3.Connection, who: Identity, path: str, wanted: int, missing: int = Status.NO_ROWS
) -> list[sqlite3.Row]:
    """Give the replicas of an object with which somebody may do something."""
    rows = readable(db, who, path)
    if not rows:
        raise CallError(missing)
    if not may(db, who, rows[0], wanted):
        raise CallError(Status.NO_PERMISSION)
    return rows


def end_outside(db: sqlite3.Connection, who: Identity, path: str) -> None:
    """End the connection where an agent breaks: an administrator opens an object beside the zones.

    It breaks only if the collection above may be read.
    """
    beside = collection_paths.split(path)[0] == "/" and collection_paths.find(db, path) is None
    if beside and who.admin:
        raise ConnectionLost("an agent ends that opens an object beside the zones")


def check_path(store: Store, path: str) -> None:
    """Refuse a path that names no object of this zone."""
    if not path.startswith(f"/{store.zone}/") or path.endswith("/"):
        raise CallError(Status.PATH_ERROR)


def named(rows: list[sqlite3.Row], words: dict[str, str]) -> list[sqlite3.Row]:
    """Give the replicas that a call means: by number, by resource, or all of them."""
    if "replNum" in words:
        rows = [row for row in rows if str(row["number"]) == words["replNum"]]
        if not rows:
            raise CallError(Status.NO_SUCH_REPLICA)
    elif "rescName" in words:
        rows = [row for row in rows if row["resource"] == words["rescName"]]
        if not rows:
            raise CallError(Status.REPLICA_INACCESSIBLE)
    return rows


def require_place(db: sqlite3.Connection, who: Identity, path: str) -> sqlite3.Row:
    """Give the collection in which an object of this path may be made."""
    parent, name = collection_paths.split(path)
    if not name:
        raise CallError(Status.PATH_ERROR)
    if collection_paths.find(db, path) is not None:
        raise CallError(Status.NAME_IS_COLLECTION)
    collection = collection_paths.find(db, parent)
    if collection is None:
        raise CallError(Status.UNKNOWN_COLLECTION, f"collection '{parent}' is unknown")
    if not may_fill(db, who, collection):
        raise CallError(Status.NO_PERMISSION, f"no permission to update collection '{parent}'")
    if len(name.encode()) > NAME_BYTES:
        raise CallError(Status.CREATE_ERROR - errno.ENAMETOOLONG)
    return collection


def may_fill(db: sqlite3.Connection, who: Identity, collection: sqlite3.Row) -> bool:
    """Whether somebody may make something in a collection; the use of a ticket is counted."""
    if permissions.level(db, who, collection["id"]) >= Level.WRITE:
        return True
    if not who.ticket:
        return False
    if not tickets.may_write(db, who.ticket, collection["id"], collection["name"]):
        return False
    tickets.check(db, who, collection["id"], writing=True)
    tickets.count(db, who, collection["id"], writing=True)
    return True


def find_resource(db: sqlite3.Connection, words: dict[str, str]) -> sqlite3.Row:
    """Give the resource that a call names, or the default one; of a tree the first below it.

    One that is below another is named only by the way to it.
    """
    named = words.get("destRescName") or words.get("rescName") or words.get("resc_hier")
    name = (named or words.get("defRescName") or RESOURCE).rpartition(";")[2]
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM resources WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        raise CallError(Status.NO_SUCH_RESOURCE)
    if row["parent"] and ";" not in (named or ""):
        raise CallError(Status.DIRECT_CHILD_ACCESS)
    while child := _first_child(db, row):
        row = child
    return row


def hierarchy(db: sqlite3.Connection, resource_id: int) -> str:
    """Give the way to a resource through the tree that it is in."""
    (found,) = db.execute(
        "SELECT hier FROM hierarchies WHERE id = ? AND parent = ''", (resource_id,)
    ).fetchone()
    return str(found)


def _first_child(db: sqlite3.Connection, resource: sqlite3.Row) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM resources WHERE parent = ? ORDER BY id", (str(resource["id"]),)
    ).fetchone()
    return row


def insert(
    store: Store,
    db: sqlite3.Connection,
    who: Identity,
    place: sqlite3.Row,
    name: str,
    resource: sqlite3.Row,
) -> sqlite3.Row:
    """Make an object without content, in the state of one that is being written."""
    object_id = store.catalogue.new_id()
    made = _insert(
        store,
        db,
        resource,
        {
            "id": object_id,
            "collection_id": place["id"],
            "name": name,
            "number": 0,
            "owner": who.name,
            "owner_zone": who.zone,
        },
    )
    permissions.inherit(db, place, object_id, who.user_id)
    db.execute("UPDATE collections SET mtime = ? WHERE id = ?", (now(), place["id"]))
    return made


def insert_replica(
    store: Store, db: sqlite3.Connection, row: sqlite3.Row, resource: sqlite3.Row
) -> sqlite3.Row:
    """Make another replica of an object, in the state of one that is being written."""
    (last,) = db.execute("SELECT max(number) FROM replicas WHERE id = ?", (row["id"],)).fetchone()
    same = {key: row[key] for key in ("id", "collection_id", "name", "owner", "owner_zone")}
    return _insert(store, db, resource, {**same, "number": last + 1})


def _insert(
    store: Store, db: sqlite3.Connection, resource: sqlite3.Row, values: dict[str, object]
) -> sqlite3.Row:
    object_id, number = int(str(values["id"])), int(str(values["number"]))
    time = now()
    (collection,) = db.execute(
        "SELECT name FROM collections WHERE id = ?", (values["collection_id"],)
    ).fetchone()
    file = vault.place(db, resource["vault"], collection, str(values["name"]))
    vault.make(file)
    db.execute(
        "INSERT INTO replicas (id, collection_id, name, number, size, resource_id, resource, path,"
        " owner, owner_zone, status, ctime, mtime, atime)"
        " VALUES (:id, :collection_id, :name, :number, 0, :resource_id, :resource, :path,"
        " :owner, :owner_zone, :status, :time, :time, :time)",
        {
            **values,
            "resource_id": resource["id"],
            "resource": resource["name"],
            "path": file,
            "status": Replica.INTERMEDIATE,
            "time": time,
        },
    )
    return one(db, object_id, number)


def one(db: sqlite3.Connection, object_id: int, number: int) -> sqlite3.Row:
    """Give one replica by its numbers."""
    row: sqlite3.Row | None = db.execute(
        f"{_REPLICAS} WHERE r.id = ? AND r.number = ?",
        (object_id, number),
    ).fetchone()
    if row is None:
        raise CallError(Status.NO_SUCH_REPLICA)
    return row


def remove(db: sqlite3.Connection, object_id: int) -> list[str]:
    """Remove an object with all that is known of it, and give the files that are left."""
    rows = db.execute("SELECT path FROM replicas WHERE id = ?", (object_id,))
    files = [row["path"] for row in rows.fetchall()]
    db.execute("DELETE FROM replicas WHERE id = ?", (object_id,))
    forget(db, object_id)
    return files


def forget(db: sqlite3.Connection, object_id: int) -> None:
    """Remove access, metadata and tickets of what is no more."""
    for table in ("access", "avu_of", "tickets"):
        db.execute(f"DELETE FROM {table} WHERE object_id = ?", (object_id,))


def checksum(path: str | Path, size: int | None = None) -> str:
    """Compute the checksum of a file, or of its first bytes, as the server writes it."""
    with os.fdopen(vault.open_file(str(path), writable=False), "rb") as file:
        if size is None:
            digest = hashlib.file_digest(file, "sha256").digest()
        else:
            digest = hashlib.sha256(file.read(size)).digest()
    return f"sha2:{base64.b64encode(digest).decode()}"
