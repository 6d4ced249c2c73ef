"""Special collections: what a collection shows that the catalogue knows nothing of.

A folder of the server's machine is mounted on an empty collection, or the collection is a link to
another one. Queries list nothing of it; paths below it work, and the calls that open and read a
collection list it. A server forgets on each connection late that a collection is not special any
more; this one forgets at once. Archives and caches (`tar`, `mssoFile`) are not known here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from tests.irods_zone import collection_paths, permissions
from tests.irods_zone.codes import CallError, Level, Status
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import keywords, pack, text
from tests.irods_zone.permissions import Identity
from tests.irods_zone.store import RESOURCE

MOUNT, LINK = "mountPoint", "linkPoint"
CLASSES = {MOUNT: 2, LINK: 3}


@dataclass(frozen=True, kw_only=True)
class Special:
    """A special collection, and where a path leads that is in it."""

    collection: sqlite3.Row
    path: str

    @property
    def is_link(self) -> bool:
        """Whether it is a link to another collection, and no mounted folder."""
        return bool(self.collection["type"] == LINK)

    @property
    def is_top(self) -> bool:
        """Whether the path is the special collection itself."""
        return bool(self.path == self.collection["name"])

    @property
    def place(self) -> str:
        """Where the path leads: a path in the zone or one on the server's machine."""
        return str(self.collection["info1"]) + self.path.removeprefix(self.collection["name"])

    def packed(self, *, leads_on: bool = False) -> str:
        """Write what the server tells of it beside what is asked for."""
        leads_on = self.is_link and (leads_on or not self.is_top)
        return pack_special(
            collClass=CLASSES[self.collection["type"]],
            type=0,
            collection=self.collection["name"],
            objPath=self.place if leads_on else "",
            resource=self.collection["info2"],
            rescHier=self.collection["info2"],
            phyPath=self.collection["info1"],
        )


def pack_special(**known: object) -> str:
    """Write the structure of a special collection; without values it is of none."""
    empty = {"collClass": 0, "type": 0} | dict.fromkeys(
        ("collection", "objPath", "resource", "rescHier", "phyPath", "cacheDir"), ""
    )
    return pack("SpecColl_PI", **{**empty, "cacheDirty": 0, "replNum": 0, **known})


def find(db: sqlite3.Connection, path: str) -> Special | None:
    """Find the special collection that a path is or is in."""
    row = db.execute(
        "SELECT * FROM collections WHERE type != '' AND"
        " (name = :path OR substr(:path, 1, length(name) + 1) = name || '/')",
        {"path": path},
    ).fetchone()
    return None if row is None else Special(collection=row, path=path)


def mounted(db: sqlite3.Connection, path: str) -> Special | None:
    """Find the mounted folder that a path leads into."""
    found = find(db, path)
    return None if found is None or found.is_link or found.is_top else found


def follow_links(caller: Caller, body: Element) -> None:
    """Write the real paths in the place of those that lead through a link."""
    if not caller.store.has_special_collections:
        return
    with caller.store.catalogue.change() as db:
        for element in body.iter():
            if element.tag in ("objPath", "collName"):
                found = find(db, element.text or "")
                if found is not None and found.is_link and not found.is_top:
                    element.text = found.place


def require(db: sqlite3.Connection, who: Identity, found: Special, wanted: int) -> Path:
    """Give the place on the server's machine to which a path in a mounted folder leads."""
    level = permissions.level(db, who, found.collection["id"])
    if level < wanted and not (who.admin and wanted <= Level.READ):
        raise CallError(Status.NO_PERMISSION if level >= Level.READ else Status.NO_SUCH_PATH)
    return Path(found.place)


def register(caller: Caller, body: Element) -> Reply:
    """Mount a folder on a collection, link it to another one, or end that."""
    path, words = text(body, "objPath"), keywords(body)
    kind, target = words.get("collectionType", ""), words.get("filePath", "")
    if kind not in (*CLASSES, "unmount"):
        raise CallError(Status.INVALID_INPUT)
    if kind == MOUNT and not caller.who.admin:
        raise CallError(Status.NO_PERMISSION)
    with caller.store.catalogue.change() as db:
        collection = collection_paths.find(db, path)
        if collection is None:
            raise CallError(Status.UNKNOWN_COLLECTION)
        if permissions.level(db, caller.who, collection["id"]) < Level.OWN:
            raise CallError(Status.NO_PERMISSION)
        if kind == "unmount":
            written = ("", "", "")
        else:
            _require_empty(db, collection)
            resource = words.get("destRescName", RESOURCE) if kind == MOUNT else ""
            written = (kind, target, resource)
            caller.store.has_special_collections = True
        db.execute(
            "UPDATE collections SET type = ?, info1 = ?, info2 = ? WHERE id = ?",
            (*written, collection["id"]),
        )
    return Reply()


def _require_empty(db: sqlite3.Connection, collection: sqlite3.Row) -> None:
    if not collection_paths.is_empty(db, collection):
        raise CallError(Status.COLLECTION_NOT_EMPTY)
