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

from nds_jupyter.data.irods.catalogue_rows import CatalogueEntry
from nds_jupyter.data.irods.checksums import Digest, Schemes, scheme_of
from nds_jupyter.data.irods.errors import ChecksumMismatch, translated
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.sessions import ZoneSession

TEMPORARY = ".nds-"
"""Begins the name of what is not finished; the file's own name could be too long for more."""

BLOCK = 4 * 2**20
"""Bytes of one request; measured fastest, larger ones are slower."""

FIRST = 128 * 1024
"""Bytes of the first request where nobody knows how much there is: a larger buffer costs more."""

RIVALS = 20
"""How often somebody else may replace an object between two steps of replacing it."""


def temporary_beside(path: str) -> str:
    """Return a free name in the same collection, so that renaming it moves no data."""
    parent = path.rpartition("/")[0]
    return f"{parent}/{TEMPORARY}{secrets.token_hex(8)}.part"


def aside_of(temporary: str, path: str) -> str:
    """Return where the object at `path` waits while what is called `temporary` takes its name.

    Who finds it there knows by its name what was to come; listings show it, since it may be all
    that there is of the object.
    """
    name = temporary.rpartition("/")[2]
    if not (name.startswith(TEMPORARY) and name.endswith(".part")):
        name = f"{TEMPORARY}{secrets.token_hex(8)}.part"
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
        self.schemes = Schemes()

    def verify(
        self, temporary: str, digest: Digest, size: int, *, named: str, start: int = 0
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
        self.schemes.saw(checksum)
        if found.size != start + size or not same:
            raise ChecksumMismatch(
                errno.EIO,
                f"{named}: what arrived ({found.size} bytes, {checksum}) is not what was sent. "
                "Transfer it again",
            )

    def _read_back(self, path: str, digest: Digest, start: int) -> bool:
        again = digest.fresh()
        with translated(path), self.objects.open(path) as stored:
            stored.seek(start)
            while block := stored.read(BLOCK):
                again.update(block)
        return digest.same_as(again)

    def copy(self, source: CatalogueEntry, target: str) -> None:
        """Copy one object on the server, and compare the checksums."""
        temporary = temporary_beside(target)
        try:
            self.objects.copy(source.path, temporary, named=target)
            made = self.objects.listing.find(temporary)
            comparable = scheme_of(source.checksum) == scheme_of(made.checksum)
            if made.size != source.size or (comparable and made.checksum != source.checksum):
                raise ChecksumMismatch(
                    errno.EIO, f"{target}: the copy differs from {source.path}. Copy it again"
                )
            self.place(temporary, target)
        except BaseException:
            self.objects.remove_quietly(temporary)
            raise

    def place(
        self, temporary: str, path: str, *, replace: bool = True, keep_metadata: bool = True
    ) -> None:
        """Give a finished object its name.

        Where the name is taken, what has it is renamed first, and removed when the new one is in
        its place: at no time is there only a part of either. Metadata and access stay with the
        name, unless `keep_metadata` is false because what comes has its own. What its owner lets
        be written, but not renamed, is written over by the server.
        """
        for _ in range(RIVALS):
            try:
                self.objects.rename(temporary, path)
            except FileExistsError:
                if not replace:
                    raise
            else:
                return
            # Who replaces it at the same moment may be a step ahead; then it is looked at again.
            with contextlib.suppress(FileNotFoundError):
                if self._take_place(temporary, path, keep_metadata=keep_metadata):
                    return
        raise OSError(errno.EBUSY, f"{path} is replaced by others all the time. Try again later")

    def _take_place(self, temporary: str, path: str, *, keep_metadata: bool) -> bool:
        """Move aside what has the name, and tell whether the name could be had then."""
        if self.objects.listing.find(path).entry().is_collection:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; a data object can't replace it"
            )
        if keep_metadata:
            self._hand_over(path, temporary)
        aside = aside_of(temporary, path)
        try:
            self.objects.rename(path, aside)
        except PermissionError:
            self._write_over(temporary, path)
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

    def _write_over(self, temporary: str, path: str) -> None:
        self.objects.copy(temporary, path, named=path, force=True)
        if self.objects.checksum(path) != self.objects.checksum(temporary):
            raise ChecksumMismatch(
                errno.EIO, f"{path}: what is there now is not what was sent. Transfer it again"
            )
        self.objects.remove_quietly(temporary)

    def _hand_over(self, source: str, target: str) -> None:
        """Give one object the metadata and the access list of another."""

        def hand_over(session: ZoneSession) -> None:
            known = set(map(tuple, session.metadata.get(DataObject, target)))
            for avu in session.metadata.get(DataObject, source):
                if tuple(avu) not in known:
                    session.metadata.add(DataObject, target, avu)
            own = (session.username, session.zone)
            for name, zone, level in _access(session, source) - _access(session, target):
                if (name, zone) == own:
                    # Who may only write the old one shall not lose the new one to that.
                    continue
                # An account that is gone may still be in the list.
                with contextlib.suppress(CAT_INVALID_USER):
                    session.acls.set(iRODSAccess(level, target, name, zone))

        self.objects.sessions.call(hand_over, source)


def _access(session: ZoneSession, path: str) -> set[tuple[str, str, str]]:
    """Return who may do what with an object: name, zone and level."""
    parent, _, name = path.rpartition("/")
    asked = session.query(User.name, User.zone, DataAccess.name).filter(
        Collection.name == parent, DataObject.name == name
    )
    return {(row[User.name], row[User.zone], row[DataAccess.name]) for row in asked.execute().rows}
