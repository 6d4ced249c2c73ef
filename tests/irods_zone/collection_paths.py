"""Queries for collections by their paths."""

from __future__ import annotations

import sqlite3
from xml.etree.ElementTree import Element

from tests.irods_zone.codes import CallError, Status

MOST_BYTES = 1088
"""How long a path is that the server's structures don't hold."""


def check_length(body: Element) -> None:
    """Refuse a call with a path that is too long."""
    for element in body.iter():
        if element.tag not in ("objPath", "collName"):
            continue
        if len((element.text or "").encode()) >= MOST_BYTES:
            raise CallError(Status.PATH_TOO_LONG)


def split(path: str) -> tuple[str, str]:
    """Split a path into its collection and its last name."""
    parent, _, name = path.rpartition("/")
    return parent or "/", name


def find(db: sqlite3.Connection, path: str) -> sqlite3.Row | None:
    """Find a collection."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM collections WHERE name = ?", (path,)
    ).fetchone()
    return row


def below(db: sqlite3.Connection, path: str) -> list[int]:
    """Give the numbers of a collection and of all collections in it, parents first."""
    rows = db.execute(
        "SELECT id FROM collections WHERE name = :path OR (name > :path || '/' AND"
        " name < :path || '0') ORDER BY length(name)",
        {"path": path.rstrip("/")},
    )
    return [int(row["id"]) for row in rows]


def is_empty(db: sqlite3.Connection, collection: sqlite3.Row) -> bool:
    """Whether nothing is in a collection."""
    return not db.execute(
        "SELECT 1 FROM replicas WHERE collection_id = ?"
        " UNION ALL SELECT 1 FROM collections WHERE parent = ? LIMIT 1",
        (collection["id"], collection["name"]),
    ).fetchone()


def placeholders(values: list[int]) -> str:
    """Give the question marks for a list of values."""
    return ", ".join("?" * len(values))
