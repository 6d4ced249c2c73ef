"""Closing of objects: what the catalogue says afterwards of what was written."""

from __future__ import annotations

import sqlite3

from tests.irods_zone import objects, replication, ticket_opening, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import CallError, Replica, Status
from tests.irods_zone.descriptors import Descriptor
from tests.irods_zone.handlers import Caller


def finalize(caller: Caller, inx: int, *, interrupted: bool = False, failed: bool = False) -> None:
    """Close a descriptor; the first writer of an object decides what the catalogue says.

    Parameters
    ----------
    caller
        Whose descriptor it is.
    inx
        Its number.
    interrupted
        Whether the client is gone.
    failed
        Whether the content could not be written; the replica is stale then.
    """
    descriptor = caller.descriptors.get(inx)
    if not descriptor.finalizes:
        caller.descriptors.pop(inx)
        return
    with caller.store.catalogue.change() as db:
        row = objects.one(db, descriptor.object_id, descriptor.number)
        status = int(Status.OK)
        if descriptor.changed:
            status = _settle(caller, db, row, descriptor, interrupted=interrupted, failed=failed)
        else:
            _restore(db, descriptor)
        # Not after the catalogue says that nobody writes: the next writer would find the lock.
        caller.store.unlock(descriptor.object_id)
    caller.descriptors.pop(inx)
    if status != Status.OK:
        raise CallError(status)


def abandon(caller: Caller, inx: int) -> None:
    """Close a descriptor without a word to the catalogue."""
    descriptor = caller.descriptors.pop(inx)
    if descriptor.finalizes:
        caller.store.unlock(descriptor.object_id)


def _settle(
    caller: Caller,
    db: sqlite3.Connection,
    row: sqlite3.Row,
    descriptor: Descriptor,
    *,
    interrupted: bool,
    failed: bool,
) -> int:
    """Write down what is in the file that was opened, wherever the object has gone since."""
    file, found, status, size = descriptor.vault_path, "", int(Status.OK), 0
    try:
        size = vault.size(file)
        if not failed and descriptor.checks_size and size != descriptor.declared_size:
            raise CallError(Status.LENGTH_DIFFERS)
        if not failed and not interrupted:
            found = _checksum(file, descriptor.words)
    except CallError as error:
        status = error.status
    expected = descriptor.words.get("verifyChksum", "")
    if status == Status.OK and found and expected and found != expected:
        status = Status.CHECKSUM_MISMATCH
    good = status == Status.OK and not failed
    good = good and (caller.store.finalizes_as_good or not interrupted)
    db.execute(
        "UPDATE replicas SET status = ?, status_text = '' WHERE id = ?", (Replica.STALE, row["id"])
    )
    db.execute(
        "UPDATE replicas SET status = ?, size = ?, checksum = ?, path = ?, mtime = ?, atime = ?"
        " WHERE id = ? AND number = ?",
        (
            Replica.GOOD if good else Replica.STALE,
            size,
            found,
            file,
            now(),
            now(),
            row["id"],
            row["number"],
        ),
    )
    if good:
        replication.spread(caller.store, db, row)
    return ticket_opening.settle(db, caller.who, row, size) or status


def _checksum(file: str, words: dict[str, str]) -> str:
    return objects.checksum(file) if {"regChksum", "verifyChksum"} & words.keys() else ""


def _restore(db: sqlite3.Connection, descriptor: Descriptor) -> None:
    before = descriptor.others | {descriptor.number: descriptor.previous_status}
    db.executemany(
        "UPDATE replicas SET status = ?, status_text = '' WHERE id = ? AND number = ?",
        [(status, descriptor.object_id, replica) for replica, status in before.items()],
    )
