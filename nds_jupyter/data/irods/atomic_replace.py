"""Atomic replacement: objects are written under a temporary name and renamed when verified.

The client leaves what an interrupted transfer wrote as a good replica, and an object written over
another loses its checksum without a word; neither can happen to what is only renamed when whole.
"""

from __future__ import annotations

import contextlib
import errno
import secrets

from irods.access import iRODSAccess
from irods.exception import CAT_INVALID_USER
from irods.models import Collection, DataAccess, DataObject, User

from nds_jupyter.data.irods.catalogue import CatalogueEntry
from nds_jupyter.data.irods.checksums import ChecksumSchemes, Digest, scheme_of
from nds_jupyter.data.irods.errors import ChecksumMismatch, mapped_errors
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.sessions import ZoneSession

TEMPORARY_PREFIX = ".nds-"
"""Begins the name of what is not finished; the file's own name could be too long for more."""

BLOCK = 4 * 2**20
"""Bytes of one request; measured fastest, larger ones are slower."""

FIRST_BLOCK = 128 * 1024
"""Bytes of the first request where nobody knows how much there is: a larger buffer costs more."""

MAX_REPLACE_ATTEMPTS = 20
"""How often somebody else may replace an object between two steps of replacing it."""


def temporary_path(path: str) -> str:
    """Return a free name in the same collection, so that renaming it moves no data."""
    parent = path.rpartition("/")[0]
    return f"{parent}/{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part"


def backup_path(temporary: str, path: str) -> str:
    """Return where the object at `path` waits while what is called `temporary` takes its name.

    Who finds it there knows by its name what was to come; listings show it, since it may be all
    that there is of the object.
    """
    name = temporary.rpartition("/")[2]
    if not (name.startswith(TEMPORARY_PREFIX) and name.endswith(".part")):
        name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part"
    return f"{path.rpartition('/')[0]}/{name.removesuffix('.part')}.old"


class AtomicReplace:
    """Verifies what was written, and gives it its name.

    Parameters
    ----------
    objects
        Of the account that writes.
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
            Where it begins; what is before was there already.

        Raises
        ------
        ChecksumMismatch
            If they differ.
        """
        found = self.objects.listing.find(temporary)
        checksum = found.checksum or self.objects.checksum(temporary)
        same = None if start else digest.matches(checksum)
        if same is None:
            # An end of it, or a scheme that nothing here computes.
            same = self._read_back(temporary, digest, start)
        self.schemes.add_scheme(checksum)
        if found.size != start + size or not same:
            raise ChecksumMismatch(
                errno.EIO,
                f"{final_path}: what arrived ({found.size} bytes, {checksum}) is not what was "
                "sent. Transfer it again",
            )

    def _read_back(self, path: str, digest: Digest, start: int) -> bool:
        again = digest.empty_copy()
        with mapped_errors(path), self.objects.open(path) as stored:
            stored.seek(start)
            while block := stored.read(BLOCK):
                again.update(block)
        return digest.equals(again)

    def copy(self, source: CatalogueEntry, target: str) -> None:
        """Copy one object on the server, and compare the checksums."""
        temporary = temporary_path(target)
        try:
            self.objects.copy(source.path, temporary, final_path=target)
            made = self.objects.listing.find(temporary)
            comparable = scheme_of(source.checksum) == scheme_of(made.checksum)
            if made.size != source.size or (comparable and made.checksum != source.checksum):
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
        """Give a finished object its name.

        Where the name is taken, what has it is renamed first, and removed when the new one is in
        its place: at no time is there only a part of either. Metadata and access stay with the
        name, unless `keep_metadata` is false because what comes has its own. What its owner lets
        be written, but not renamed, is written over by the server.
        """
        for _ in range(MAX_REPLACE_ATTEMPTS):
            try:
                self.objects.rename(temporary, path)
            except FileExistsError:
                if not replace:
                    raise
            else:
                return
            # Who replaces it at the same moment may be a step ahead; then it is looked at again.
            with contextlib.suppress(FileNotFoundError):
                if self._replace_existing(temporary, path, keep_metadata=keep_metadata):
                    return
        raise OSError(errno.EBUSY, f"{path} is replaced by others all the time. Try again later")

    def _replace_existing(self, temporary: str, path: str, *, keep_metadata: bool) -> bool:
        """Move aside what has the name, and tell whether the name could be had then."""
        if self.objects.listing.find(path).entry().is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; a data object can't replace it"
            )
        if keep_metadata:
            self._copy_metadata_and_access(path, temporary)
        aside = backup_path(temporary, path)
        try:
            self.objects.rename(path, aside)
        except PermissionError:
            self._overwrite_content(temporary, path)
            return True
        try:
            self.objects.rename(temporary, path)
        except FileExistsError:
            self.objects.remove_quietly(aside)
            return False
        except OSError:
            self.objects.rename(aside, path)
            raise
        self.objects.remove_quietly(aside)
        return True

    def _overwrite_content(self, temporary: str, path: str) -> None:
        self.objects.copy(temporary, path, final_path=path, force=True)
        if self.objects.checksum(path) != self.objects.checksum(temporary):
            raise ChecksumMismatch(
                errno.EIO, f"{path}: what is there now is not what was sent. Transfer it again"
            )
        self.objects.remove_quietly(temporary)

    def _copy_metadata_and_access(self, source: str, target: str) -> None:
        """Give one object the metadata and the access list of another."""

        def hand_over(session: ZoneSession) -> None:
            known = set(map(tuple, session.metadata.get(DataObject, target)))
            for avu in session.metadata.get(DataObject, source):
                if tuple(avu) not in known:
                    session.metadata.add(DataObject, target, avu)
            own = (session.username, session.zone)
            for name, zone, level in _access_list(session, source) - _access_list(session, target):
                if (name, zone) == own:
                    # Who may only write the old one shall not lose the new one to that.
                    continue
                # An account that is gone may still be in the list.
                with contextlib.suppress(CAT_INVALID_USER):
                    session.acls.set(iRODSAccess(level, target, name, zone))

        self.objects.session_holder.call(hand_over, source)


def _access_list(session: ZoneSession, path: str) -> set[tuple[str, str, str]]:
    """Return who may do what with an object: name, zone and level."""
    parent, _, name = path.rpartition("/")
    asked = session.query(User.name, User.zone, DataAccess.name).filter(
        Collection.name == parent, DataObject.name == name
    )
    return {(row[User.name], row[User.zone], row[DataAccess.name]) for row in asked.execute().rows}
