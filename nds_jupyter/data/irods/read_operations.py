"""Read operations of the filesystem that need only the catalogue."""

from __future__ import annotations

import errno
from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem

from nds_jupyter.data.entries import Avu, Entry, EntryPage, Replica
from nds_jupyter.data.irods.catalogue_rows import CatalogueEntry
from nds_jupyter.data.irods.listing import Listing
from nds_jupyter.data.irods.metadata import MetadataOperations
from nds_jupyter.data.irods.objects import ObjectOperations


class ReadOperations(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The questions of a filesystem; `IrodsFileSystem` adds what changes something."""

    _listing: Listing
    _metadata: MetadataOperations
    _objects: ObjectOperations

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a collection, or the one object that the path is."""
        found = self._listing.level(self._strip_protocol(path))
        return [each.info() if detail else each.path for each in found]

    def ls_page(self, path: str, after: str = "", limit: int = 100, q: str = "") -> EntryPage:
        """List a part of a collection.

        Collections and data objects come in one order, that of names. The catalogue is asked
        once for each of the two kinds, at one time, as long as more of it follows: a page of a
        large flat collection costs one query wherever it is, and the first one two.

        Parameters
        ----------
        after
            `EntryPage.next` of the page before, or a name; empty for the first page.
        limit
            Most entries wanted. A page can be shorter though others follow, where objects have
            several replicas.
        q
            What the name must contain.
        """
        return self._listing.page(self._strip_protocol(path), after, limit, q)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe one path."""
        return self._find(path).info()

    def entry(self, path: str) -> Entry:
        """Describe one path as an entry of a data root."""
        return self._find(path).entry()

    def _find(self, path: str) -> CatalogueEntry:
        return self._listing.find(self._strip_protocol(path))

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is something; an unreachable zone is an error, not a no."""
        return self._kind(path) is not None

    def isdir(self, path: str) -> bool:
        """Tell whether the path is a collection."""
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Tell whether the path is a data object."""
        return self._kind(path) == "file"

    def _kind(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                return None
            raise

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """List everything below a collection; without `maxdepth` in a few queries for all of it."""
        path = self._strip_protocol(path)
        if maxdepth is not None:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        found = {each.path: each.info() for each in self._listing.tree(path)}
        if not withdirs:
            found = {name: info for name, info in found.items() if info["type"] == "file"}
        if withdirs or not found:
            found = self._and_itself(path, withdirs=withdirs) | found
        return found if detail else list(found)

    def _and_itself(self, path: str, *, withdirs: bool) -> dict[str, Any]:
        try:
            info = self.info(path)
        except FileNotFoundError:
            return {}
        return {path: info} if withdirs or info["type"] == "file" else {}

    def created(self, path: str) -> datetime:
        """Return when it was made."""
        made: datetime = self.info(path)["created"]
        return made

    def modified(self, path: str) -> datetime:
        """Return when it last changed."""
        return self._find(path).modified

    def ukey(self, path: str) -> str:
        """Return what changes whenever the content does."""
        return self._find(path).stamp

    def checksum(self, path: str) -> str:
        """Return the registered checksum, like ``sha2:…``; if there is none, it is computed."""
        return self._objects.checksum(self._strip_protocol(path))

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the copies of a data object, in the order of their numbers."""
        return self._listing.replicas(self._strip_protocol(path))

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the metadata of a collection or data object."""
        return self._metadata.get(self._strip_protocol(path))
