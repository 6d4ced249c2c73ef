"""Tickets where objects are opened and closed: what they let do, and what is counted."""

from __future__ import annotations

import sqlite3

from tests.irods_zone import objects, permissions, tickets
from tests.irods_zone.codes import CallError, Flag, Level, Replica, Status
from tests.irods_zone.connection import ConnectionLost
from tests.irods_zone.handlers import Caller
from tests.irods_zone.permissions import Identity


def admits(caller: Caller, path: str, flags: int) -> bool:
    """Count that a ticket opens an object, and tell whether it does.

    Where it does not, an object that would be made if it was missing is taken for a missing one.
    A server's agent ends without an answer if the last write that a ticket allows was counted.
    """
    who = caller.who
    if not who.ticket:
        return True
    writes = bool(flags & (Flag.WRITE | Flag.READ_WRITE))
    with caller.store.catalogue.change() as db:
        rows = objects.readable(db, who, path)
        if not rows or not _needs_ticket(db, who, rows[0], writing=writes):
            return True
        try:
            tickets.check(db, who, rows[0]["id"], writing=writes)
        except CallError:
            if writes and flags & Flag.CREATE:
                return False
            raise
        tickets.count(db, who, rows[0]["id"], writing=writes)
        ends = writes and tickets.is_spent(db, who)
    if ends:
        raise ConnectionLost("an agent ends that meets the limit of a ticket while it opens")
    return True


def settle(db: sqlite3.Connection, who: Identity, row: sqlite3.Row, size: int) -> Status:
    """Count what was written by a ticket; what it does not allow stays stale."""
    if not who.ticket or not tickets.reaches(db, who.ticket, row["id"], row["collection"]):
        return Status.OK
    refused = tickets.count_closed(db, who, row["id"], size)
    if refused != Status.OK:
        db.execute("UPDATE replicas SET status = ? WHERE id = ?", (Replica.STALE, row["id"]))
    return refused


def count_change(db: sqlite3.Connection, who: Identity, row: sqlite3.Row) -> None:
    """Count that something is done to an object that a ticket reaches."""
    if who.ticket and tickets.may_write(db, who.ticket, row["id"], row["collection"]):
        tickets.count(db, who, row["id"], writing=True)


def _needs_ticket(
    db: sqlite3.Connection, who: Identity, row: sqlite3.Row, *, writing: bool
) -> bool:
    """Whether it is the ticket by which somebody opens an object, not their own right."""
    reached = tickets.reaches(db, who.ticket, row["id"], row["collection"])
    wanted = Level.WRITE if writing else Level.READ
    return reached or permissions.level(db, who, row["id"]) < wanted
