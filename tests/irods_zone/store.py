"""Storage of the zone: the catalogue, the vault with the bytes, and the locks of writers."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.irods_zone.catalogue import Catalogue, now
from tests.irods_zone.codes import LEVEL_NAMES, CallError, Level, Status
from tests.irods_zone.database import Database
from tests.irods_zone.permissions import grant

ZONE = "tempZone"
ADMIN = "rods"
PUBLIC = "public"
RESOURCE = "demoResc"
BUNDLES = "bundleResc"
"""A resource that every zone has, and that nobody writes to."""

DOWN = "down"
FORBIDDEN = Path("/forbidden")
"""A vault in which the server may make nothing."""


class Store:
    """A zone's state on disk."""

    def __init__(self, folder: Path) -> None:
        self.zone = ZONE
        self.vault = folder / "vault"
        self.vault.mkdir(parents=True)
        self.catalogue = Catalogue(folder / "catalogue.sqlite")
        self.database = Database()
        self.finalizes_as_good = True
        self.has_special_collections = False
        self.over_quota: set[str] = set()
        self.between: Callable[[int], None] = lambda _: None
        # Bytes of an object from which on a copy on the server finds the disk full.
        self.copy_limit: int | None = None
        self._tokens: dict[int, str] = {}
        self._lock = threading.Lock()
        with self.catalogue.change() as db:
            self._found(db)

    def shared_file(self, content: bytes) -> Path:
        """Give a file of these bytes that many replicas may share until they are written to."""
        folder = self.vault / "shared"
        folder.mkdir(exist_ok=True)
        file = folder / f"{hash(content) & 0xFFFFFFFFFFFF:x}.{len(content)}"
        if not file.exists():
            file.write_bytes(content)
        return file

    def is_shared(self, path: str) -> bool:
        """Whether a file belongs to many replicas."""
        return Path(path).parent.name == "shared"

    def remove_file(self, path: str) -> None:
        """Remove a replica's bytes."""
        if not self.is_shared(path):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                Path(path).unlink()

    def lock(self, object_id: int) -> str:
        """Lock an object for writing and give the token that opens it for further writers."""
        with self._lock:
            return self._tokens.setdefault(object_id, str(uuid.uuid4()))

    def token(self, object_id: int) -> str:
        """Give the token of an object that is being written, or nothing."""
        return self._tokens.get(object_id, "")

    def unlock(self, object_id: int) -> None:
        """End the lock of a writer."""
        with self._lock:
            self._tokens.pop(object_id, None)

    def add_user(self, db: sqlite3.Connection, name: str, kind: str) -> int:
        """Add a user or group; a user gets a home and a trash of their own."""
        known = db.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone()
        if known:
            raise CallError(Status.ALREADY_EXISTS)
        user_id, time = self.catalogue.new_id(), now()
        db.execute(
            "INSERT INTO users (id, name, type, zone, ctime, mtime) VALUES (?, ?, ?, ?, ?, ?)",
            (user_id, name, kind, self.zone, time, time),
        )
        db.execute("INSERT INTO members VALUES (?, ?)", (user_id, user_id))
        if kind != "rodsgroup":
            public = db.execute("SELECT id FROM users WHERE name = ?", (PUBLIC,)).fetchone()
            db.execute("INSERT INTO members VALUES (?, ?)", (public["id"], user_id))
        for parent in (f"/{self.zone}/home", f"/{self.zone}/trash/home"):
            if db.execute("SELECT 1 FROM collections WHERE name = ?", (parent,)).fetchone():
                self.add_collection(db, f"{parent}/{name}", name, user_id)
        return user_id

    def add_collection(self, db: sqlite3.Connection, path: str, owner: str, owner_id: int) -> int:
        """Add a collection without asking anybody."""
        collection_id, time = self.catalogue.new_id(), now()
        parent = path.rpartition("/")[0] or "/"
        db.execute(
            "INSERT INTO collections (id, name, parent, owner, owner_zone, ctime, mtime)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (collection_id, path, parent, owner, self.zone, time, time),
        )
        grant(db, collection_id, owner_id, Level.OWN)
        return collection_id

    def add_resource(
        self,
        db: sqlite3.Connection,
        name: str,
        kind: str = "unixfilesystem",
        parent: str = "",
    ) -> int:
        """Add a storage resource, or one that coordinates those below it."""
        resource_id, time = self.catalogue.new_id(), now()
        vault = self.vault if name == RESOURCE else self.vault / name
        if name == BUNDLES:
            vault = FORBIDDEN
        db.execute(
            "INSERT INTO resources (id, name, zone, type, class, location, vault, ctime, mtime)"
            " VALUES (?, ?, ?, ?, 'cache', 'localhost', ?, ?, ?)",
            (resource_id, name, self.zone, kind, os.fspath(vault), time, time),
        )
        if parent:
            self.add_child(db, parent, name)
        return resource_id

    def add_child(self, db: sqlite3.Connection, parent: str, child: str) -> None:
        """Put a resource below another one."""
        row = db.execute("SELECT id FROM resources WHERE name = ?", (parent,)).fetchone()
        if row is None:
            raise CallError(Status.NO_SUCH_RESOURCE)
        db.execute("UPDATE resources SET parent = ? WHERE name = ?", (str(row["id"]), child))

    def close(self) -> None:
        """Close the catalogue."""
        self.catalogue.close()

    def _found(self, db: sqlite3.Connection) -> None:
        db.executemany("INSERT INTO tokens VALUES (?, ?)", LEVEL_NAMES.items())
        db.execute("INSERT INTO zones VALUES (?, ?, 'local')", (self.catalogue.new_id(), self.zone))
        public = self.add_user(db, PUBLIC, "rodsgroup")
        admin = self.add_user(db, ADMIN, "rodsadmin")
        zone = f"/{self.zone}"
        for path in ("/", zone, f"{zone}/home", f"{zone}/trash", f"{zone}/trash/home"):
            self.add_collection(db, path, ADMIN, admin)
        for parent in (f"{zone}/home", f"{zone}/trash/home"):
            self.add_collection(db, f"{parent}/{ADMIN}", ADMIN, admin)
            self.add_collection(db, f"{parent}/{PUBLIC}", ADMIN, public)
        self.add_resource(db, RESOURCE)
        self.add_resource(db, BUNDLES)
