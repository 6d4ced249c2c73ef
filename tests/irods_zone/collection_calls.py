"""Calls on collections."""

from __future__ import annotations

import secrets
import sqlite3
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, objects, permissions, renaming
from tests.irods_zone.catalogue import now
from tests.irods_zone.codes import Between, CallError, Level, Replica, Status
from tests.irods_zone.handlers import Caller, Reply, as_admin
from tests.irods_zone.packing import keywords, pack, text

OUTSIDE = (
    "SYS_INVALID_INPUT_PARAM]  errno [] -- message [a valid zone name does not appear at the root"
    " of the object path [{path}]]\n"
)


def create(caller: Caller, body: Element) -> Reply:
    """Make a collection, with those above it if asked.

    Those above it are made one after another. Where somebody else makes one at that moment, the
    server stops, and says that all is well.
    """
    path, words = text(body, "collName").rstrip("/") or "/", keywords(body)
    forced = as_admin(caller, words)
    recursive = "recursiveOpr" in words
    if path != "/" and path.split("/")[1] != caller.store.zone:
        raise CallError(Status.INVALID_INPUT, OUTSIDE.format(path=path))
    with caller.store.catalogue.change() as db:
        paths = _missing(caller, db, path, forced=forced) if recursive else [path]
    for each in paths:
        if recursive:
            caller.store.between(Between.COLLECTIONS_FOUND_AND_MADE)
        with caller.store.catalogue.change() as db:
            if _is_there(caller, db, each, forced=forced or not recursive):
                if recursive:
                    return Reply()
                raise CallError(Status.ALREADY_EXISTS)
            make(caller, db, each, recursive=False, forced=forced)
    return Reply()


def _missing(caller: Caller, db: sqlite3.Connection, path: str, *, forced: bool) -> list[str]:
    """Give the collections of a path that are not there, or may not be shown, parents first."""
    missing: list[str] = []
    while path != "/" and not _is_there(caller, db, path, forced=forced):
        missing.insert(0, path)
        path, _ = collection_paths.split(path)
    return missing


def _is_there(caller: Caller, db: sqlite3.Connection, path: str, *, forced: bool) -> bool:
    found = collection_paths.find(db, path)
    return found is not None and (forced or objects.is_visible(db, caller.who, found["id"], path))


def make(
    caller: Caller, db: sqlite3.Connection, path: str, *, recursive: bool, forced: bool = False
) -> None:
    """Make a collection that is not there yet."""
    parent_path, _ = collection_paths.split(path)
    if parent_path == "/":
        raise CallError(Status.INVALID_INPUT, OUTSIDE.format(path=path))
    parent = collection_paths.find(db, parent_path)
    if recursive and parent is None:
        make(caller, db, parent_path, recursive=True, forced=forced)
        parent = collection_paths.find(db, parent_path)
    if parent is None:
        raise CallError(Status.UNKNOWN_COLLECTION, f"collection '{parent_path}' is unknown")
    who = caller.who
    if not forced and not objects.may_fill(db, who, parent):
        raise CallError(Status.NO_PERMISSION)
    if objects.replicas(db, path):
        raise CallError(Status.NAME_IS_OBJECT)
    made = caller.store.add_collection(db, path, who.name, who.user_id)
    permissions.inherit(db, parent, made, who.user_id)
    db.execute(
        "UPDATE collections SET inherit = ? WHERE id = ?",
        ("1" if parent["inherit"] == "1" else "", made),
    )
    db.execute("UPDATE collections SET mtime = ? WHERE id = ?", (now(), parent["id"]))


def remove(caller: Caller, body: Element) -> Reply:
    """Remove a collection: into the trash, or for good."""
    path, words = text(body, "collName").rstrip("/"), keywords(body)
    in_trash = path.startswith(f"/{caller.store.zone}/trash/")
    for_good = {"forceFlag", "irodsRmTrash", "irodsAdminRmTrash"} & words.keys() or in_trash
    files, target, is_left = [], "", False
    with caller.store.catalogue.change() as db:
        # What is not for good is a renaming into the trash, which misses it in its own way.
        missing = Status.NO_SUCH_FILE if "forceFlag" in words else Status.NO_ROWS
        forced = as_admin(caller, words)
        collection = _require(caller, db, path, forced=forced, missing=missing)
        if "recursiveOpr" not in words and not collection_paths.is_empty(db, collection):
            raise CallError(Status.COLLECTION_NOT_EMPTY)
        if for_good:
            files = erase(db, path)
            is_left = collection_paths.find(db, path) is not None
        else:
            target = trash_path(caller, db, path)
    for file in files:
        caller.store.remove_file(file)
    if target:
        renaming.move_rows(caller, collection, [], path, target)
    status = Status.COLLECTION_NOT_EMPTY if is_left else Status.OK
    done = 0 if {"recursiveOpr", "forceFlag"} <= words.keys() else 1
    counts = {"filesCnt": done or len(files), "totalFileCnt": done, "bytesWritten": 0}
    last = path if done else ""
    return Reply(status=status, body=pack("CollOprStat_PI", **counts, lastObjPath=last))


def trash_path(caller: Caller, db: sqlite3.Connection, path: str) -> str:
    """Give a free path in the trash of whoever removes something, and make what is above it."""
    top = f"/{caller.store.zone}/trash/home/{caller.who.name}"
    inside = path.removeprefix(f"/{caller.store.zone}/").removeprefix("home/")
    target = f"{top}/{inside.removeprefix(f'{caller.who.name}/')}"
    parent, _ = collection_paths.split(target)
    if collection_paths.find(db, parent) is None:
        make(caller, db, parent, recursive=True, forced=True)
    if collection_paths.find(db, target) is not None or objects.replicas(db, target):
        target = f"{target}.{secrets.randbelow(10**10)}"
    return target


def _require(
    caller: Caller, db: sqlite3.Connection, path: str, *, forced: bool, missing: int
) -> sqlite3.Row:
    collection = collection_paths.find(db, path)
    if collection is None and objects.replicas(db, path):
        raise CallError(Status.NAME_IS_OBJECT)
    if collection is None or not objects.is_visible(db, caller.who, collection["id"], path):
        raise CallError(missing)
    if not forced and permissions.level(db, caller.who, collection["id"]) < Level.DELETE:
        raise CallError(Status.NO_PERMISSION)
    return collection


def erase(db: sqlite3.Connection, path: str) -> list[str]:
    """Remove a collection and all that is in it for good, but what is being written.

    Parameters
    ----------
    db
        The catalogue.
    path
        The collection's path.

    Returns
    -------
    list of str
        The files that are left in the vault.
    """
    files: list[str] = []
    for collection_id in reversed(collection_paths.below(db, path)):
        rows = db.execute(
            "SELECT id, max(status) AS status FROM replicas WHERE collection_id = ? GROUP BY id",
            (collection_id,),
        ).fetchall()
        for row in rows:
            if row["status"] <= Replica.GOOD:
                files += objects.remove(db, row["id"])
        collection = db.execute(
            "SELECT * FROM collections WHERE id = ?", (collection_id,)
        ).fetchone()
        if collection_paths.is_empty(db, collection):
            db.execute("DELETE FROM collections WHERE id = ?", (collection_id,))
            objects.forget(db, collection_id)
    return files
