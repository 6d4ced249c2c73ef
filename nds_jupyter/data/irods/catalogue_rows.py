"""Rows of the catalogue as values: collections, data objects, replicas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec

from nds_jupyter.data.entries import Entry, Kind, Replica
from nds_jupyter.data.irods.catalogue import Row

OBJECT_COLUMNS = (
    "DATA_NAME",
    "DATA_SIZE",
    "DATA_CHECKSUM",
    "DATA_MODIFY_TIME",
    "DATA_ID",
    "DATA_REPL_STATUS",
    "DATA_CREATE_TIME",
)
COLLECTION_COLUMNS = ("COLL_NAME", "COLL_MODIFY_TIME", "COLL_ID", "COLL_CREATE_TIME")
"""The name comes first; when it was made comes last, and can be left out."""

STATUS = {"0": "stale", "1": "good", "2": "intermediate", "3": "locked", "4": "locked"}


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A collection, or the newest good replica of a data object.

    Parameters
    ----------
    id
        The catalogue's own; it survives a rename.
    created
        None where it was not asked for.
    """

    path: str
    kind: Kind
    id: str
    size: int = 0
    checksum: str = ""
    modified: datetime
    created: datetime | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def stamp(self) -> str:
        """Changes whenever the content does."""
        return f"{self.id}-{self.size}-{int(self.modified.timestamp())}-{self.checksum}"

    def entry(self) -> Entry:
        """Return it as an entry of a data root."""
        return Entry(
            name=self.name,
            path=self.path,
            kind=self.kind,
            size=self.size,
            modified=self.modified,
            checksum=self.checksum or None,
            stamp=self.stamp,
        )

    def info(self) -> dict[str, Any]:
        """Return it as fsspec describes a file or directory."""
        return {
            "name": self.path,
            "size": self.size,
            "type": "directory" if self.kind is Kind.COLLECTION else "file",
            "checksum": self.checksum or None,
            "created": self.created,
            "modified": self.modified,
            "id": self.id,
        }


def collection(row: Row) -> CatalogueEntry:
    """Read a row of `COLLECTION_COLUMNS`."""
    path, modified, number, *created = row
    return CatalogueEntry(
        path=path,
        kind=Kind.COLLECTION,
        id=number,
        modified=moment(modified),
        created=moment(created[0]) if created else None,
    )


def data_objects(rows: Iterable[Row], parent: str) -> Iterator[CatalogueEntry]:
    """Read rows of `OBJECT_COLUMNS`, those of one object behind each other."""
    for name, replicas in groupby(rows, key=lambda row: row[0]):
        yield data_object(list(replicas), f"{parent.rstrip('/')}/{name}")


def data_object(replicas: list[Row], path: str) -> CatalogueEntry:
    """Return the newest good replica, or the newest one where none is good."""
    best = replicas[0] if len(replicas) == 1 else max(replicas, key=_worth)
    _, size, checksum, modified, number, _, *created = best
    return CatalogueEntry(
        path=path,
        kind=Kind.DATA_OBJECT,
        id=number,
        size=int(size),
        checksum=checksum,
        modified=moment(modified),
        created=moment(created[0]) if created else None,
    )


def _worth(replica: Row) -> tuple[bool, int, str, int]:
    return replica[5] == "1", int(replica[3]), replica[2], int(replica[1])


def replica(row: Row) -> Replica:
    """Read a row of `REPLICA_COLUMNS`."""
    number, hierarchy, status, size, checksum, modified = row
    return Replica(
        number=int(number),
        resource=hierarchy,
        status=STATUS.get(status, "intermediate"),
        size=int(size),
        checksum=checksum or None,
        modified=moment(modified),
    )


REPLICA_COLUMNS = (
    "DATA_REPL_NUM",
    "DATA_RESC_HIER",
    "DATA_REPL_STATUS",
    "DATA_SIZE",
    "DATA_CHECKSUM",
    "DATA_MODIFY_TIME",
)


def moment(text: str) -> datetime:
    """Read a time of the catalogue, seconds since 1970 with leading zeros."""
    return datetime.fromtimestamp(int(text or 0), UTC)
