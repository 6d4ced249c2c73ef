"""Renaming of objects and collections: first the catalogue's rows, then the files of the vault."""

from __future__ import annotations

import sqlite3
from functools import partial
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, hierarchy, objects, permissions, vault
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import Between, CallError, Level, Status
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import number, text

SAID_WHAT_IT_IS = (11, 12)
"""Types of operation that name an object or a collection; the server then looks at no lock."""


def rename(caller: Caller, body: Element) -> Reply:
    """Give an object or a collection another path."""
    source_input, target_input = body.findall("DataObjInp_PI")
    source, target = text(source_input, "objPath"), text(target_input, "objPath")
    if source == target:
        raise CallError(Status.SAME_SOURCE_AND_TARGET)
    if number(source_input, "oprType") not in SAID_WHAT_IT_IS:
        with caller.store.catalogue.change() as db:
            if hierarchy.is_locked(objects.replicas(db, source)):
                raise CallError(Status.LOCKED_OBJECT)
    move(caller, source, target)
    return Reply()


def move(caller: Caller, source: str, target: str) -> None:
    """Give an object or a collection another path, and its files other places.

    It is found by its path first, and changed by its number then, and its files are moved from
    where they were found: two connections that rename one thing at once meet in between.
    """
    with caller.store.catalogue.change() as db:
        found, rows = _find(caller, db, source)
    caller.store.between(Between.FOUND_AND_RENAMED)
    move_rows(caller, found, rows, source, target)


def move_rows(
    caller: Caller, found: sqlite3.Row, rows: list[sqlite3.Row], source: str, target: str
) -> None:
    """Rename what was found: an object with these replicas, or a collection, which has none.

    Where not one file could be moved nothing is changed.
    """
    with caller.store.catalogue.change() as db:
        _rename_rows(caller, db, found, source, target)
        status, moved = int(Status.OK), 0
        for path, replicas in [(target, rows)] if rows else _in_collection(caller, db, target):
            failed, done = _move_files(caller, db, replicas, path)
            status, moved = failed or status, moved + done
        if status != Status.OK and rows and not moved:
            raise CallError(status)
    if status != Status.OK and rows:
        raise CallError(status)


def rename_collection(db: sqlite3.Connection, source: str, target: str) -> None:
    """Give a collection and all that is in it another path in the catalogue."""
    parent, _ = collection_paths.split(target)
    moved = {"source": source, "target": target}
    db.execute(
        "UPDATE collections SET parent = ?, mtime = ? WHERE name = ?", (parent, now(), source)
    )
    for column in ("parent", "name"):
        db.execute(
            f"UPDATE collections SET {column} = :target || substr({column}, length(:source) + 1)"
            f" WHERE {column} = :source"
            f" OR ({column} > :source || '/' AND {column} < :source || '0')",
            moved,
        )


def _find(
    caller: Caller, db: sqlite3.Connection, path: str
) -> tuple[sqlite3.Row, list[sqlite3.Row]]:
    collection = collection_paths.find(db, path)
    if collection is None:
        rows = objects.require(db, caller.who, path, Level.DELETE)
        return rows[0], rows
    level = permissions.level(db, caller.who, collection["id"])
    if level < Level.DELETE:
        hidden = level < Level.READ and not caller.who.admin
        raise CallError(Status.NO_ROWS if hidden else Status.NO_PERMISSION)
    return collection, []


def _rename_rows(
    caller: Caller, db: sqlite3.Connection, found: sqlite3.Row, source: str, target: str
) -> None:
    """Change the last name first, then the collection, as the server does.

    Where there is no such collection it ends in between, and leaves its transaction open.
    """
    source_parent, source_name = collection_paths.split(source)
    target_parent, target_name = collection_paths.split(target)
    half = f"{source_parent}/{target_name}"
    is_collection = "parent" in found.keys()  # noqa: SIM118 - a row gives values, not keys.
    give = partial(_place, found["id"], is_collection)
    transactions = caller.store.catalogue.transactions
    if source_name != target_name:
        _require_free(db, half)
        give(half, db)
    if source_parent == target_parent:
        return
    place = collection_paths.find(db, target_parent)
    if place is None or not _sees(caller, db, place):
        if source_name != target_name:
            held = _rows(db, found["id"], half, source_parent)
            transactions.leave_open(partial(give, half), held)
        raise CallError(Status.UNKNOWN_COLLECTION)
    if permissions.level(db, caller.who, place["id"]) < Level.WRITE:
        raise CallError(Status.NO_PERMISSION)
    if is_collection and f"{target_parent}/".startswith(f"{half}/"):
        raise CallError(Status.RECURSIVE_MOVE)
    _require_free(db, target)
    give(target, db)


def _place(object_id: int, is_collection: bool, path: str, db: sqlite3.Connection) -> None:
    parent, name = collection_paths.split(path)
    if is_collection:
        row = db.execute("SELECT name FROM collections WHERE id = ?", (object_id,)).fetchone()
        rename_collection(db, row["name"], path)
    else:
        db.execute(
            "UPDATE replicas SET name = ?, collection_id ="
            " (SELECT id FROM collections WHERE name = ?) WHERE id = ?",
            (name, parent, object_id),
        )
    db.execute("UPDATE collections SET mtime = ? WHERE name = ?", (now(), parent))


def _rows(db: sqlite3.Connection, object_id: int, path: str, parent: str) -> set[int]:
    """Give what a half rename holds: the thing, what is below it and the collection it is in."""
    above = collection_paths.find(db, parent)
    held = {object_id, *collection_paths.below(db, path)}
    return held | {above["id"]} if above else held


def _require_free(db: sqlite3.Connection, path: str) -> None:
    if objects.replicas(db, path):
        raise CallError(Status.NAME_IS_OBJECT)
    if collection_paths.find(db, path) is not None:
        raise CallError(Status.NAME_IS_COLLECTION)


def _sees(caller: Caller, db: sqlite3.Connection, place: sqlite3.Row) -> bool:
    return caller.who.admin or permissions.level(db, caller.who, place["id"]) >= Level.READ


def _in_collection(
    caller: Caller, db: sqlite3.Connection, path: str
) -> list[tuple[str, list[sqlite3.Row]]]:
    """Give the objects in a collection and below that have files of their own."""
    rows = db.execute(
        "SELECT DISTINCT r.name, c.name AS collection FROM replicas r JOIN collections c"
        " ON c.id = r.collection_id WHERE r.path NOT LIKE ?"
        " AND (c.name = ? OR (c.name > ? || '/' AND c.name < ? || '0'))",
        (f"{caller.store.vault}/shared/%", path, path, path),
    ).fetchall()
    paths = [f"{row['collection']}/{row['name']}" for row in rows]
    return [(each, objects.replicas(db, each)) for each in paths]


def _move_files(
    caller: Caller, db: sqlite3.Connection, rows: list[sqlite3.Row], target: str
) -> tuple[int, int]:
    """Move the file of each replica: the last failure, and how many were moved."""
    failed, moved = int(Status.OK), 0
    parent, name = collection_paths.split(target)
    for row in rows:
        if caller.store.is_shared(row["path"]):
            moved += 1
            continue
        try:
            if hierarchy.is_down(row):
                raise CallError(Status.RESOURCE_DOWN)
            path = vault.place(db, row["vault"], parent, name)
            vault.move(row["path"], path)
        except CallError as error:
            failed = error.status
            continue
        moved += 1
        db.execute(
            "UPDATE replicas SET path = ? WHERE id = ? AND number = ?",
            (path, row["id"], row["number"]),
        )
    return failed, moved
