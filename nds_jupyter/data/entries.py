"""Entries of the data root as values: objects, collections, pages, metadata, replicas. Pure."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec


class Kind(enum.StrEnum):
    """What an entry is, in the words of iRODS; a folder is a collection, a file a data object."""

    COLLECTION = "collection"
    DATA_OBJECT = "data_object"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One collection or data object.

    Parameters
    ----------
    path
        Absolute; of the filesystem where a filesystem gives it, of the data root where that does.
    size
        Bytes; 0 for a collection.
    checksum
        As the catalogue has it, like ``sha2:…``; None where none is registered.
    stamp
        Changes whenever the content does, for what has no checksum; may be empty.
    """

    name: str
    path: str
    kind: Kind
    size: int = 0
    modified: datetime | None = None
    checksum: str | None = None
    stamp: str = ""

    @property
    def is_collection(self) -> bool:
        """Whether it holds others."""
        return self.kind is Kind.COLLECTION


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one collection: collections first, then objects, each by name.

    Parameters
    ----------
    next
        The `after` of the following page, a `ListingCursor` as text; None at the end.
    """

    entries: tuple[Entry, ...]
    next: str | None = None


class ListingCursor(msgspec.Struct, frozen=True, kw_only=True):
    """Position in a listing: the last name read of each kind, None at the end of a kind."""

    collection: str | None = ""
    data_object: str | None = ""

    def encode(self) -> str | None:
        """Return it as a string, None at the end of both kinds. Names hold no slash."""
        if self.collection is None and self.data_object is None:
            return None
        return "/".join(
            "*" if each is None else f"={each}" for each in (self.collection, self.data_object)
        )

    @classmethod
    def decode(cls, text: str) -> ListingCursor:
        """Parse what `encode` returned, or a plain name, after which both kinds go on."""
        first, slash, second = text.partition("/")
        if not slash:
            return cls(collection=text, data_object=text)
        return cls(
            collection=None if first == "*" else first[1:],
            data_object=None if second == "*" else second[1:],
        )


class Avu(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of metadata: attribute, value and unit, in iRODS an AVU."""

    name: str
    value: str
    unit: str = ""


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a data object.

    Parameters
    ----------
    status
        ``good``, ``stale``, ``intermediate`` or ``locked``.
    """

    number: int
    resource: str
    status: str
    size: int
    checksum: str | None = None
    modified: datetime | None = None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A string that lets who has it read, or write, what an owner shares.

    Parameters
    ----------
    path
        Of an object; or of a collection, with all it holds.
    write
        Whether it lets write too.
    expires
        When it ends; None for never.
    uses_limit, uses
        How often it may be used, None for no limit, and was used: for reading, connections that
        open something; for writing, objects that are written, a new one in a collection counting
        twice.
    url
        Where others find it; empty where that is not known.
    """

    ticket: str
    path: str
    write: bool = False
    expires: datetime | None = None
    uses_limit: int | None = None
    uses: int = 0
    url: str = ""

    def __repr__(self) -> str:
        return f"<ticket for {self.path}>"
