"""Queries for collections by their paths."""

from __future__ import annotations

import sqlite3


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


def placeholders(values: list[int]) -> str:
    """Give the question marks for a list of values."""
    return ", ".join("?" * len(values))
