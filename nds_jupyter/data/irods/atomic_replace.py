"""Atomic replacement: objects are written under a temporary name and renamed when verified.

The client leaves what an interrupted transfer wrote as a good replica, and an object that is
overwritten silently loses its checksum; neither can happen to what is renamed when complete.
"""

from __future__ import annotations

import contextlib
import errno
import secrets

from irods.access import iRODSAccess
from irods.exception import CAT_INVALID_USER
from irods.models import Collection, DataAccess, DataObject, User

from nds_jupyter.data.irods.catalogue_queries import CatalogueEntry
from nds_jupyter.data.irods.checksums import ChecksumSchemes, Digest, scheme_of
from nds_jupyter.data.irods.exceptions import ChecksumMismatch, mapped_errors
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.sessions import ZoneSession

TEMPORARY_PREFIX = ".nds-"
"""Prefix of temporary names; they do not hold the final name, which may be too long for more."""

BLOCK = 4 * 2**20
"""Bytes of one request; measured fastest, larger ones are slower."""

FIRST_BLOCK = 128 * 1024
"""Bytes of the first request where the size is unknown: a larger buffer costs more."""

MAX_REPLACE_ATTEMPTS = 20
"""Attempts to replace an object that others replace at the same time."""


def temporary_path(path: str) -> str:
    """Return an unused path in the same collection, so that renaming it moves no data."""
    parent = path.rpartition("/")[0]
    return f"{parent}/{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part"


def backup_path(temporary: str, path: str) -> str:
    """Return where the object at `path` is kept while `temporary` is renamed to `path`.

    Its name tells a later clean-up which temporary object it belongs to. Listings show it, since
    after a crash it may be the only copy of the object.
    """
    name = temporary.rpartition("/")[2]
    if not (name.startswith(TEMPORARY_PREFIX) and name.endswith(".part")):
        name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part"
    return f"{path.rpartition('/')[0]}/{name.removesuffix('.part')}.old"


class AtomicReplace:
    """Verification of temporary objects and their atomic renaming to the final path.

    Parameters
    ----------
    objects
        Operations of the account that writes.
    """

    def __init__(self, objects: ObjectOperations) -> None:
        self.objects = objects
        self.schemes = ChecksumSchemes()

    def verify(
        self, temporary: str, digest: Digest, size: int, *, final_path: str, start: int = 0
    ) -> None:
        """Compare what the zone has with what was sent.

        Parameters
        ----------
        digest, size
            Of what was sent.
        start
            Offset at which it begins; what is before was there already.

        Raises
        ------
        ChecksumMismatch
            If they differ.
        """
        stored = self.objects.listing.find(temporary)
        checksum = stored.checksum or self.objects.checksum(temporary)
        same = None if start else digest.matches(checksum)
        if same is None:
            # Only the end was sent, or the scheme is not computed here.
            same = self._matches_read_back(temporary, digest, start)
        self.schemes.add_scheme(checksum)
        if stored.size != start + size or not same:
            raise ChecksumMismatch(
                errno.EIO,
                f"{final_path}: what arrived ({stored.size} bytes, {checksum}) is not what was "
                "sent. Transfer it again",
            )

    def _matches_read_back(self, path: str, digest: Digest, start: int) -> bool:
        read_back = digest.empty_copy()
        with mapped_errors(path), self.objects.open(path) as descriptor:
            descriptor.seek(start)
            while block := descriptor.read(BLOCK):
                read_back.update(block)
        return digest.equals(read_back)

    def copy(self, source: CatalogueEntry, target: str) -> None:
        """Copy one object on the server, and compare the checksums."""
        temporary = temporary_path(target)
        try:
            self.objects.copy(source.path, temporary, final_path=target)
            copy = self.objects.listing.find(temporary)
            comparable = scheme_of(source.checksum) == scheme_of(copy.checksum)
            if copy.size != source.size or (comparable and copy.checksum != source.checksum):
                raise ChecksumMismatch(
                    errno.EIO, f"{target}: the copy differs from {source.path}. Copy it again"
                )
            self.move_into_place(temporary, target)
        except BaseException:
            self.objects.remove_quietly(temporary)
            raise

    def move_into_place(
        self, temporary: str, path: str, *, replace: bool = True, keep_metadata: bool = True
    ) -> None:
        """Rename a complete object to its final path.

        An object at that path is renamed first, and removed when the new one has its path: at no
        time is there only a part of either. Metadata and access list of the old object go to the
        new one, unless `keep_metadata` is false because it has its own. An object that the account
        may write but not rename is overwritten by a copy on the server.
        """
        for _ in range(MAX_REPLACE_ATTEMPTS):
            try:
                self.objects.rename(temporary, path)
            except FileExistsError:
                if not replace:
                    raise
            else:
                return
            # Another client may have replaced or removed it meanwhile; then it is tried again.
            with contextlib.suppress(FileNotFoundError):
                if self._replace_existing(temporary, path, keep_metadata=keep_metadata):
                    return
        raise OSError(errno.EBUSY, f"{path} is replaced by others all the time. Try again later")

    def _replace_existing(self, temporary: str, path: str, *, keep_metadata: bool) -> bool:
        """Rename an existing object away, the new one to its path; false if another was faster."""
        if self.objects.listing.find(path).is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; a data object can't replace it"
            )
        if keep_metadata:
            self._copy_metadata_and_access(path, temporary)
        backup = backup_path(temporary, path)
        try:
            self.objects.rename(path, backup)
        except PermissionError:
            self._overwrite_content(temporary, path)
            return True
        try:
            self.objects.rename(temporary, path)
        except FileExistsError:
            self.objects.remove_quietly(backup)
            return False
        except OSError:
            self.objects.rename(backup, path)
            raise
        self.objects.remove_quietly(backup)
        return True

    def _overwrite_content(self, temporary: str, path: str) -> None:
        self.objects.copy(temporary, path, final_path=path, force=True)
        if self.objects.checksum(path) != self.objects.checksum(temporary):
            raise ChecksumMismatch(
                errno.EIO, f"{path}: what is there now is not what was sent. Transfer it again"
            )
        self.objects.remove_quietly(temporary)

    def _copy_metadata_and_access(self, source: str, target: str) -> None:
        """Copy metadata and access list from one object to another."""

        def copy(session: ZoneSession) -> None:
            existing = set(map(tuple, session.metadata.get(DataObject, target)))
            for avu in session.metadata.get(DataObject, source):
                if tuple(avu) not in existing:
                    session.metadata.add(DataObject, target, avu)
            own = (session.username, session.zone)
            for name, zone, level in _access_list(session, source) - _access_list(session, target):
                if (name, zone) == own:
                    # An account that may only write the old one keeps its rights to the new one.
                    continue
                # A removed account may still be in the list.
                with contextlib.suppress(CAT_INVALID_USER):
                    session.acls.set(iRODSAccess(level, target, name, zone))

        self.objects.session_holder.call(copy, source)


def _access_list(session: ZoneSession, path: str) -> set[tuple[str, str, str]]:
    """Return the access list of an object: user name, zone and level of each."""
    parent, _, name = path.rpartition("/")
    query = session.query(User.name, User.zone, DataAccess.name).filter(
        Collection.name == parent, DataObject.name == name
    )
    return {(row[User.name], row[User.zone], row[DataAccess.name]) for row in query.execute().rows}
