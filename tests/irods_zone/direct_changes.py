"""Direct changes of catalogue and vault, for tests that need them without a client."""

from __future__ import annotations

import os
from pathlib import Path

from tests.irods_zone import collection_paths, objects, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Level, Replica, Status
from tests.irods_zone.permissions import grant
from tests.irods_zone.store import DOWN, Store


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
            file = vault.own_file(store, db, row)
            Path(file).write_bytes(content)
            db.execute(
                "UPDATE replicas SET size = ?, path = ?, checksum = '', mtime = ?"
                " WHERE id = ? AND number = ?",
                (len(content), file, now(), row["id"], row["number"]),
            )


def lose_file(store: Store, path: str, *, replica: int | None = None) -> None:
    """Remove the files of an object, or that of one replica, behind the catalogue's back."""
    for file in _files(store, path, replica):
        file.unlink()


def damage_file(store: Store, path: str, content: bytes, *, replica: int | None = None) -> None:
    """Give the files of an object other bytes, behind the back of the catalogue."""
    for file in _files(store, path, replica):
        file.write_bytes(content)


def _files(store: Store, path: str, replica: int | None) -> list[Path]:
    """Give the files of an object's replicas, each of its own."""
    with store.catalogue.change() as db:
        rows = objects.replicas(db, path)
        chosen = [row for row in rows if replica in (None, row["number"])]
        found = [(vault.own_file(store, db, row), row) for row in chosen]
        db.executemany(
            "UPDATE replicas SET path = ? WHERE id = ? AND number = ?",
            [(file, row["id"], row["number"]) for file, row in found],
        )
    return [Path(file) for file, _ in found]


def grant_to(store: Store, path: str, user: str, level: int) -> None:
    """Let somebody do something with an object or a collection."""
    with store.catalogue.change() as db:
        collection = collection_paths.find(db, path)
        target = collection["id"] if collection else objects.replicas(db, path)[0]["id"]
        row = db.execute("SELECT id FROM users WHERE name = ?", (user,)).fetchone()
        grant(db, target, row["id"], level)


def set_resource(store: Store, name: str, *, is_up: bool) -> None:
    """Set a resource down or up."""
    status = "up" if is_up else DOWN
    with store.catalogue.change() as db:
        db.execute("UPDATE resources SET status = ? WHERE name = ?", (status, name))


def set_over_quota(store: Store, user: str, *, is_over: bool) -> None:
    """Say whether a user has used more than the quota allows."""
    if is_over:
        store.over_quota.add(user)
    else:
        store.over_quota.discard(user)
