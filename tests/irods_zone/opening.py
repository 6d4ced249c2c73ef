"""Opening of objects: which replica, under whose lock, with what file."""

from __future__ import annotations

import sqlite3

from tests.irods_zone import hierarchy, objects, ticket_opening, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Flag, Replica, Status
from tests.irods_zone.descriptors import Descriptor
from tests.irods_zone.handlers import Caller

OVERWRITING = Flag.READ_WRITE | Flag.CREATE | Flag.TRUNCATE


def open_path(
    caller: Caller, path: str, flags: int, words: dict[str, str], *, declared_size: int = -1
) -> int:
    """Open an object, or make it, and give the number of its descriptor."""
    writes = bool(flags & (Flag.WRITE | Flag.READ_WRITE))
    creates = writes and bool(flags & Flag.CREATE)
    truncates = writes and bool(flags & Flag.TRUNCATE)
    admitted = ticket_opening.admits(caller, path, flags)
    with caller.store.catalogue.change() as db:
        objects.end_outside(db, caller.who, path)
        rows = objects.readable(db, caller.who, path) if admitted else []
        if creates and caller.who.name in caller.store.over_quota:
            raise CallError(Status.QUOTA_EXCEEDED)
        if not rows:
            row = _make(caller, db, path, words, creates=creates)
        elif writes:
            row = hierarchy.to_write(caller, db, rows, words, creates=creates)
        else:
            row = hierarchy.to_read(db, rows, words)
        descriptor = Descriptor(
            file=-1,
            path=path,
            object_id=row["id"],
            number=row["number"],
            flags=flags,
            words=dict(words),
            declared_size=declared_size,
            writes=writes,
            previous_status=row["status"],
            readable=None if writes else row["size"],
        )
        if writes:
            row = _lock(caller, db, row, descriptor, truncates=truncates)
            descriptor.changed = not rows or truncates or row["size"] == 0
        elif not caller.store.catalogue.transactions.is_open():
            db.execute("UPDATE replicas SET atime = ? WHERE id = ?", (now(), row["id"]))
        descriptor.vault_path = row["path"]
        try:
            descriptor.file = vault.open_file(
                row["path"], writable=writes, create=creates, truncate=truncates
            )
        except CallError:
            if descriptor.finalizes:
                caller.store.unlock(row["id"])
            raise
    return caller.descriptors.add(descriptor)


def _make(
    caller: Caller, db: sqlite3.Connection, path: str, words: dict[str, str], *, creates: bool
) -> sqlite3.Row:
    if not creates:
        raise CallError(Status.NO_SUCH_PATH)
    place = objects.require_place(db, caller.who, path)
    if objects.replicas(db, path):
        raise CallError(
            Status.NO_PERMISSION, f"no permission to update collection '{place['name']}'"
        )
    name = path.rpartition("/")[2]
    resource = hierarchy.for_new_replica(db, words)
    return objects.insert(caller.store, db, caller.who, place, name, resource)


def _lock(
    caller: Caller,
    db: sqlite3.Connection,
    row: sqlite3.Row,
    descriptor: Descriptor,
    *,
    truncates: bool,
) -> sqlite3.Row:
    """Lock the other replicas, and mark this one as being written."""
    held = caller.store.token(row["id"])
    if not held and "replicaToken" in descriptor.words:
        raise CallError(Status.LOCKED_OBJECT)
    if held:
        descriptor.token = held
        return row
    if row["status"] != Replica.INTERMEDIATE and row["status_text"]:
        # An administrator has set the status that a killed writer left, and not the rest.
        raise CallError(Status.INTERNAL_ERROR)
    file = vault.own_file(caller.store, db, row)
    others = db.execute(
        "SELECT number, status FROM replicas WHERE id = ? AND number != ?",
        (row["id"], row["number"]),
    )
    descriptor.others = {each["number"]: each["status"] for each in others}
    db.execute("UPDATE replicas SET status = ? WHERE id = ?", (Replica.WRITE_LOCKED, row["id"]))
    known = "" if row["status"] == Replica.INTERMEDIATE else "locked"
    db.execute(
        "UPDATE replicas SET status = ?, path = ?, size = ?, status_text = ?"
        " WHERE id = ? AND number = ?",
        (
            Replica.INTERMEDIATE,
            file,
            0 if truncates else row["size"],
            known,
            row["id"],
            row["number"],
        ),
    )
    descriptor.token = caller.store.lock(row["id"])
    descriptor.finalizes = True
    return objects.one(db, row["id"], row["number"])
