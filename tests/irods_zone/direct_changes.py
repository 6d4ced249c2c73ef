"""Direct changes of catalogue and vault, for tests that need them without a client."""

from __future__ import annotations

import os
from pathlib import Path

from tests.irods_zone import collection_paths, objects
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.permissions import grant
from tests.irods_zone.store import Store


def fill(store: Store, collection: str, names: list[str], content: bytes) -> None:
    """Make an object of each name, all with one content and the collection's owner."""
    file = store.shared_file(content)
    found, time = objects.checksum(file), now()
    with store.catalogue.change() as db:
        place = collection_paths.find(db, collection)
        if place is None:
            raise CallError(Status.UNKNOWN_COLLECTION)
        owner = db.execute("SELECT id FROM users WHERE name = ?", (place["owner"],)).fetchone()
        resource = objects.find_resource(db, {})
        fixed = (0, len(content), resource["id"], resource["name"], os.fspath(file))
        fixed += (place["owner"], place["owner_zone"], Replica.GOOD, found, time, time, time)
        numbered = [(store.catalogue.new_id(), name) for name in names]
        db.executemany(
            "INSERT INTO replicas (id, collection_id, name, number, size, resource_id, resource,"
            " path, owner, owner_zone, status, checksum, ctime, mtime, atime)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((object_id, place["id"], name, *fixed) for object_id, name in numbered),
        )
        db.executemany(
            "INSERT INTO access VALUES (?, ?, ?)",
            ((object_id, owner["id"], Level.OWN) for object_id, _ in numbered),
        )


def overwrite(store: Store, path: str, content: bytes) -> None:
    """Give an object other bytes in its place, as another client would."""
    with store.catalogue.change() as db:
        rows = objects.replicas(db, path)
        if not rows:
            raise CallError(Status.NO_SUCH_PATH)
        for row in rows:
            file = objects.own_file(store, row)
            Path(file).write_bytes(content)
            db.execute(
                "UPDATE replicas SET size = ?, path = ?, checksum = '', mtime = ?"
                " WHERE id = ? AND number = ?",
                (len(content), file, now(), row["id"], row["number"]),
            )


def lose_file(store: Store, path: str) -> None:
    """Remove the files of an object from the vault, behind the back of the catalogue."""
    with store.catalogue.change() as db:
        for row in objects.replicas(db, path):
            Path(objects.own_file(store, row)).unlink()


def damage_file(store: Store, path: str, content: bytes) -> None:
    """Give the files of an object other bytes, behind the back of the catalogue."""
    with store.catalogue.change() as db:
        for row in objects.replicas(db, path):
            Path(objects.own_file(store, row)).write_bytes(content)


def grant_to(store: Store, path: str, user: str, level: int) -> None:
    """Let somebody do something with an object or a collection."""
    with store.catalogue.change() as db:
        collection = collection_paths.find(db, path)
        target = collection["id"] if collection else objects.replicas(db, path)[0]["id"]
        row = db.execute("SELECT id FROM users WHERE name = ?", (user,)).fetchone()
        grant(db, target, row["id"], level)
