"""Writing of whole objects, also in the place of others: verified, and never half.

A small content is stored by one request. A large one is written under a temporary name, verified,
and renamed where its path is free. What has the path already is written over in its place, by the
server from the temporary object, because only that is safe against other writers: the server locks
a replica while it is written, and refuses a second writer, but it renames what is open for writing
and what another client renames at the same time, and then a row can lose its file
(docs/architecture.md, "Replacing an object in a zone").
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import time
from collections.abc import Iterator

from nds_jupyter.data.irods.checksums import ChecksumSchemes, Digest
from nds_jupyter.data.irods.exceptions import ChecksumMismatch, ZoneUnavailable, mapped_errors
from nds_jupyter.data.irods.metadata import MetadataOperations
from nds_jupyter.data.irods.object_descriptors import BLOCK
from nds_jupyter.data.irods.objects import ObjectOperations

TEMPORARY_PREFIX = ".nds-"
"""Prefix of temporary names; they do not hold the final name, which may be too long for more."""


SETTLE_SECONDS = 60.0
"""Seconds for which a copy on the server is waited for whose connection broke."""


class ReplacementIncomplete(OSError):
    """An object was written over, and that broke off; its new content is whole elsewhere.

    Parameters
    ----------
    path
        The object that was written over.
    temporary
        The object that has the new content.
    """

    def __init__(self, path: str, temporary: str, reason: str) -> None:
        super().__init__(
            errno.EIO,
            f"{path} may be half written, since writing over it broke off ({reason}). The new "
            f"content is whole in {temporary}: move that to {path}",
        )


def temporary_path(path: str) -> str:
    """Return an unused path in the same collection, so that renaming it moves no data."""
    parent = path.rpartition("/")[0]
    return f"{parent}/{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part"


class Replacement:
    """Verified writing of whole objects.

    Parameters
    ----------
    objects, metadata
        Operations of the account that writes.
    """

    def __init__(self, objects: ObjectOperations, metadata: MetadataOperations) -> None:
        self.objects = objects
        self.schemes = ChecksumSchemes()
        self._metadata = metadata

    def store(self, path: str, content: bytes, *, final_path: str, replace: bool) -> None:
        """Write an object whose content is in memory, by one request if its path is free.

        Parameters
        ----------
        content
            At most `BLOCK` bytes.
        final_path
            The path for the sentence of an error.
        replace
            Whether an object at the path is written over, else FileExistsError is raised.
        """
        digest = self.schemes.digest()
        digest.update(content)
        checksum = digest.text(self.schemes.preferred)
        if not replace:
            # No request can say that it must be the first, but a rename has to be.
            temporary = temporary_path(path)
            with self._removed_on_error(temporary):
                self.objects.put(temporary, content, checksum, final_path=final_path)
                self.objects.rename(temporary, path)
            return
        try:
            self.objects.put(path, content, checksum, final_path=final_path)
        except FileExistsError:
            # Nothing is said of a resource where another has just removed the object.
            with contextlib.suppress(FileNotFoundError):
                resource = self._resource_of(path)
                self.objects.put(path, content, checksum, final_path=final_path, over=resource)
                return
            self.objects.put(path, content, checksum, final_path=final_path)

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

    def copy(self, source: str, target: str) -> None:
        """Copy one object on the server, also in the place of another."""
        entry = self.objects.listing.find(source)
        if not self._exists(target):
            temporary = temporary_path(target)
            with self._removed_on_error(temporary):
                self.objects.copy(entry, temporary, final_path=target)
            self.commit(temporary, target)
            return
        self.objects.copy(entry, target, final_path=target, over=self._resource_of(target))

    def commit(self, temporary: str, path: str, *, replace: bool = True) -> None:
        """Give a complete temporary object its final path; on an error it is removed.

        What is written over keeps its metadata and access list.

        Raises
        ------
        ReplacementIncomplete
            If writing over the object at the path broke off; then the temporary one is kept.
        """
        with self._removed_on_error(temporary):
            self.move(temporary, path, replace=replace, keep_metadata=True)

    @contextlib.contextmanager
    def _removed_on_error(self, temporary: str) -> Iterator[None]:
        try:
            yield
        except ReplacementIncomplete:
            raise
        except BaseException:
            self.objects.remove_quietly(temporary)
            raise

    def move(
        self, source: str, path: str, *, replace: bool = True, keep_metadata: bool = False
    ) -> None:
        """Give an object another path, where it may take the place of another object.

        The other object is written over by the server, and keeps its identity: id, access list,
        tickets and time of creation.

        Parameters
        ----------
        keep_metadata
            Whether the object that is written over keeps its metadata, or gets those of the source.

        Raises
        ------
        ReplacementIncomplete
            If writing over the object at the path broke off.
        """
        if not self._exists(path):
            try:
                self.objects.rename(source, path)
            except FileExistsError:
                if not replace:
                    raise
            else:
                return
        elif not replace:
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        self._write_over(source, path)
        if not keep_metadata:
            self._metadata.replace(path, self._metadata.get(source))
        self._remove_moved(source)

    def _write_over(self, source: str, path: str) -> None:
        """Write over an object by a copy on the server; tell where that may leave it broken."""
        entry, resource = self.objects.listing.find(source), self._resource_of(path)
        for attempts_left in reversed(range(self.objects.session_holder.timeouts.attempts)):
            try:
                self.objects.copy(entry, path, final_path=path, over=resource)
            except OSError as exc:
                if exc.errno == errno.EBUSY:
                    raise
                checksum = self._settled_checksum(path)
                lost = isinstance(exc, ZoneUnavailable)
                if lost and checksum == entry.checksum:
                    return
                # Among many writers iRODS 5.0.2 fails once in a while for no reason of its own.
                if attempts_left and (lost or exc.errno == errno.EIO):
                    continue
                if checksum is None:
                    reason = exc.strerror or type(exc).__name__
                    raise ReplacementIncomplete(path, source, reason) from exc
                raise
            else:
                return

    def _settled_checksum(self, path: str) -> str | None:
        """Return the checksum of an object's good replica; None if it has none, or nobody tells.

        The server may still be at a copy whose connection broke: that is waited for.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                replicas = self.objects.listing.replicas(path)
            except FileNotFoundError:
                return ""
            except OSError:
                return None
            good = [each for each in replicas if each.status == "good"]
            if good:
                return good[0].checksum or ""
            locked = any(each.status != "stale" for each in replicas)
            if not locked or time.monotonic() > deadline:
                return None
            time.sleep(0.5)

    def _exists(self, path: str) -> bool:
        try:
            self.objects.listing.find(path)
        except FileNotFoundError:
            return False
        return True

    def _resource_of(self, path: str) -> str:
        """Return the resource on which an object is written over: one that has it already.

        On another one the server would make a further replica, and leave those there stale.
        """
        try:
            replicas = self.objects.listing.replicas(path)
        except IsADirectoryError as exc:
            raise IsADirectoryError(
                errno.EISDIR, f"{path} is a collection; a data object can't replace it"
            ) from exc
        best = max(replicas, key=lambda each: (each.status == "good", -each.number))
        return best.resource.partition(";")[0]

    def _remove_moved(self, source: str) -> None:
        """Remove the source of a move; a zone that forbids it may allow to move it away."""
        try:
            self.objects.remove(source, trash=False)
        except PermissionError:
            self.objects.move_to_trash(source)
