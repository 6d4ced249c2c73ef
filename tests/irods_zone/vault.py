"""Files of replicas: in the vault of their resource, below the path of their object.

The vault knows nothing of the catalogue: a file may be gone, or be another one than its row says.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
from pathlib import Path

from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.store import FORBIDDEN, Store


def place(db: sqlite3.Connection, vault: str, collection: str, name: str) -> str:
    """Give the path of a replica's file; one that another row names gets another name."""
    inside = collection.partition("/")[2].partition("/")[2]
    path = "/".join(part for part in (vault, inside, name) if part)
    taken = db.execute("SELECT 1 FROM replicas WHERE path = ?", (path,)).fetchone()
    return f"{path}.{secrets.randbelow(10**9)}" if taken else path


def make(path: str) -> None:
    """Make an empty file, with the folders above it."""
    make_folder(path)
    try:
        Path(path).write_bytes(b"")
    except OSError as error:
        raise CallError(Status.CREATE_ERROR - (error.errno or 0)) from error


def make_folder(path: str) -> None:
    """Make the folders above a file."""
    if Path(path).is_relative_to(FORBIDDEN):
        raise CallError(Status.MAKE_FOLDER_ERROR - errno.EACCES)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CallError(Status.MAKE_FOLDER_ERROR - (error.errno or 0)) from error


def open_file(path: str, *, writable: bool, create: bool = False, truncate: bool = False) -> int:
    """Open a file; one that is gone is made again only where the call may create it."""
    flags = os.O_RDWR if writable else os.O_RDONLY
    flags |= (os.O_CREAT if create else 0) | (os.O_TRUNC if truncate else 0)
    if create:
        make_folder(path)
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise CallError(Status.OPEN_ERROR - (error.errno or 0)) from error


def size(path: str) -> int:
    """Give the size of a file."""
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise CallError(Status.STAT_ERROR - (error.errno or 0)) from error


def move(source: str, target: str) -> None:
    """Give a file another place."""
    try:
        make_folder(target)
        Path(source).rename(target)
    except OSError as error:
        raise CallError(Status.RENAME_ERROR - (error.errno or 0)) from error


def copy(source: str, target: str) -> None:
    """Copy the content of a file into another one."""
    with os.fdopen(open_file(source, writable=False), "rb") as content:
        make_folder(target)
        with Path(target).open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)


def own_file(store: Store, db: sqlite3.Connection, row: sqlite3.Row) -> str:
    """Give the file that a replica may be written in: its own, not one that is shared."""
    if not store.is_shared(row["path"]):
        return str(row["path"])
    path = place(db, row["vault"], row["collection"], row["name"])
    copy(row["path"], path)
    return path
