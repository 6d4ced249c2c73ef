"""Trees of resources: a replication resource keeps each object on all that are below it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.irods_zone import objects, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.store import Store

REPLICATION = "replication"


def spread(store: Store, db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Give the other resources of a tree what was written to one of them."""
    top = _top(db, row["resource_id"])
    if top is None:
        return
    source = objects.one(db, row["id"], row["number"])
    for resource in _leaves(db, top):
        if resource["id"] == source["resource_id"]:
            continue
        known = db.execute(
            "SELECT number FROM replicas WHERE id = ? AND resource_id = ?",
            (source["id"], resource["id"]),
        ).fetchone()
        made = (
            objects.one(db, source["id"], known["number"])
            if known
            else objects.insert_replica(store, db, source, resource)
        )
        file = vault.own_file(store, db, made)
        vault.copy(source["path"], file)
        db.execute(
            "UPDATE replicas SET status = 1, size = ?, checksum = ?, path = ?, mtime = ?"
            " WHERE id = ? AND number = ?",
            (
                Path(file).stat().st_size,
                source["checksum"],
                file,
                now(),
                made["id"],
                made["number"],
            ),
        )


def _top(db: sqlite3.Connection, resource_id: int) -> sqlite3.Row | None:
    """Find the replication resource that a resource is below."""
    row = _resource(db, resource_id)
    while row is not None and row["type"] != REPLICATION:
        row = _resource(db, row["parent"])
    return row


def _leaves(db: sqlite3.Connection, resource: sqlite3.Row) -> list[sqlite3.Row]:
    children = db.execute(
        "SELECT * FROM resources WHERE parent = ? ORDER BY id", (str(resource["id"]),)
    ).fetchall()
    return [leaf for each in children for leaf in _leaves(db, each)] or [resource]


def _resource(db: sqlite3.Connection, resource_id: int | str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM resources WHERE id = ?", (resource_id or 0,)
    ).fetchone()
    return row
