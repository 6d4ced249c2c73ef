"""Storage backend over an iRODS zone or a collection of it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from glob import has_magic
from typing import Any

from nds_jupyter.data.backend import Backend, sha2_text
from nds_jupyter.data.entries import Avu, Entry, EntryPage, Kind, Replica
from nds_jupyter.data.irods.atomic_replace import aside_of
from nds_jupyter.data.irods.errors import AuthenticationFailed, ChecksumMismatch, ZoneUnavailable
from nds_jupyter.data.irods.filesystem import IrodsFileSystem
from nds_jupyter.errors import DataError, DataLoginRefused, DataUnavailable, NdsError
from nds_jupyter.jobs.logical_paths import is_inside

PLACES = 2
"""Places at which a large object is read: while one piece comes the next is asked for.

More of them hold more memory, and fill no engine faster.
"""


class IrodsBackend(Backend):
    """A collection of a zone; the catalogue pages, verifies and keeps metadata.

    Parameters
    ----------
    base
        The collection; empty for the account's zone, and no other.
    """

    fs: IrodsFileSystem

    @property
    def home(self) -> str:
        """The account's home collection, unless the root is a collection of its own."""
        return "/" if self.base else self.fs.home

    def settings_elsewhere(self) -> Mapping[str, Any] | None:
        """Return the account; not with authorities in a folder, which can't be handed over."""
        settings = self.fs.account.settings()
        return None if "irods_ssl_ca_certificate_path" in settings else settings

    def prepare(self) -> None:
        """Leave the zone as it is: a collection that is not there is a mistake."""

    def full(self, path: str) -> str:
        """Return the logical path in the zone; PermissionError if it is of another zone."""
        full = super().full(path)
        if not self.base and full != "/" and not is_inside(full, f"/{self.fs.zone}"):
            raise PermissionError(errno.EACCES, f"{full} is in another zone")
        return full

    def foreign(self, exc: OSError) -> NdsError | None:
        """Keep the sentences that say what to do about the zone or the account."""
        said = exc.strerror or ""
        if isinstance(exc, AuthenticationFailed):
            return DataLoginRefused(f"{said}.")
        if isinstance(exc, ChecksumMismatch):
            return DataError(f"{said}.")
        return DataUnavailable(said) if isinstance(exc, ZoneUnavailable) else None

    def entry(self, path: str) -> Entry:
        """Describe one path, by one query."""
        if path == "/":
            return Entry(name="", path="/", kind=Kind.COLLECTION)
        return self.fs.entry(path)

    def page(self, path: str, after: str, limit: int, q: str) -> EntryPage:
        """List a part of a collection, by one query of the catalogue."""
        if path == "/":
            return EntryPage(entries=(self.entry(f"/{self.fs.zone}"),))
        return self.fs.ls_page(path, after, limit, q)

    def streams(self, size: int) -> int:
        """Return the connections for an object of a size."""
        return min(self.fs.streams(size), PLACES)

    def open_read(self, path: str, start: int) -> Any:
        """Open an object, at a position; what is read is not read ahead."""
        file = self.fs.open(path, "rb", cache_type="none")
        if start:
            file.seek(start)
        return file

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Read a part of an object."""
        return self.fs.cat_file(path, start, stop)

    def open_write(self, path: str, goal: str) -> Any:
        """Open a new object under its own name: what nobody looks at needs no other first."""
        return self.fs.open(path, "wb", named=goal)

    def abandon(self, file: Any) -> None:
        """Throw away what an unfinished write stored."""
        file.discard()

    def discard(self, path: str) -> None:
        """Remove for good what nobody needs any more: it is nothing for the trash."""
        if not self.fs.exists(path):
            return
        if self.fs.isdir(path) and not has_magic(path):
            self.fs.rm(path, recursive=True, trash=False)
        elif self.fs.isdir(path):
            super().discard(path)
        else:
            self.fs.rm_file(path, trash=False)

    def undo(self, draft: str, goal: str) -> None:
        """Remove what an interrupted write left, in the middle of its renaming too."""
        aside = aside_of(draft, goal)
        if self.fs.exists(aside):
            if self.fs.exists(goal):
                self.discard(aside)
            else:
                self.fs.mv(aside, goal)
        self.discard(draft)

    def remove_empty(self, path: str) -> None:
        """Remove a collection that holds nothing: it is nothing for the trash."""
        self.fs.rmdir(path, trash=False)

    def has_digest(self, path: str, sha256: bytes) -> bool:
        """Compare with the registered checksum, or read back where that is of another kind."""
        checksum = self.fs.checksum(path)
        if not checksum.startswith("sha2:"):
            return super().has_digest(path, sha256)
        return checksum == sha2_text(sha256)

    def place(
        self, source: str, target: str, *, replace: bool, keep_metadata: bool = False
    ) -> None:
        """Rename an object."""
        if not replace and self.fs.exists(target):
            raise FileExistsError(errno.EEXIST, target)
        self.fs.mv(source, target, keep_metadata=keep_metadata)

    def move_collection(self, source: str, target: str) -> None:
        """Rename a collection."""
        if self.fs.exists(target):
            raise FileExistsError(errno.EEXIST, target)
        self.fs.mv(source, target)

    def remove(self, path: str, *, recursive: bool) -> None:
        """Remove an object or collection, by way of the zone's trash."""
        if recursive and not has_magic(path) and self.entry(path).is_collection:
            self.fs.rm(path, recursive=True)
        else:
            super().remove(path, recursive=recursive)

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the AVUs."""
        return self.fs.metadata(path)

    def set_metadata(self, path: str, avus: tuple[Avu, ...]) -> None:
        """Replace the AVUs."""
        self.fs.set_metadata(path, avus)

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas."""
        return self.fs.replicas(path)

    def checksum(self, path: str) -> str:
        """Return the registered checksum; the server computes one where there is none."""
        return self.fs.checksum(path)

    def version(self) -> str:
        """Ask the zone for the root, and say its version."""
        self.fs.info(self.base or f"/{self.fs.zone}")
        return f"iRODS {'.'.join(map(str, self.fs.server_version))}"
