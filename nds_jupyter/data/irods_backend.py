"""Storage backend over an iRODS zone or a collection of it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from nds_jupyter.data.backend import Backend, sha2_text
from nds_jupyter.data.entries import Avu, Entry, EntryPage, Replica, Ticket
from nds_jupyter.data.irods.config import PROTOCOL, settings_from_url
from nds_jupyter.data.irods.exceptions import (
    AuthenticationFailed,
    ChecksumMismatch,
    ClientUserUnknown,
    ContentMissing,
    ZoneUnavailable,
)
from nds_jupyter.data.irods.filesystem import IrodsFileSystem
from nds_jupyter.data.irods.replacement import ReplacementIncomplete
from nds_jupyter.errors import (
    DataBusy,
    DataError,
    DataLoginRefused,
    DataLoginRequired,
    DataUnavailable,
    Forbidden,
    InvalidRequest,
    NdsError,
)
from nds_jupyter.jobs.logical_paths import is_inside

MAX_READ_STREAMS = 2
"""Connections that read one large object: while one chunk arrives the next is requested.

More of them need more memory, and fill no engine faster.
"""


_KINDS_OF_NUMBERS: dict[int, type[NdsError]] = {
    errno.EBUSY: DataBusy,
    errno.EINVAL: InvalidRequest,
    errno.EIO: DataError,
    errno.ENODEV: DataError,
}


class IrodsBackend(Backend):
    """Backend over a collection of a zone; the catalogue pages, verifies and stores metadata.

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

    def path_of_url(self, rest: str) -> str:
        """Return the logical path of a URL, which may name the user and this root's server."""
        named, account = settings_from_url(f"{PROTOCOL}://{rest}"), self.fs.account
        host, port = named.get("host", account.host), named.get("port", account.port)
        if (host.lower(), port) != (account.host.lower(), account.port):
            raise ValueError(
                f"names the server {host}:{port}, and this data root is on {account.host}:"
                f"{account.port}. For a path of it write {PROTOCOL}:///"
            )
        return f"/{rest.partition('/')[2]}"

    def may_hold(self, path: str) -> bool:
        """Whether a path is in the account's zone, unless the root is a collection of its own."""
        return bool(self.base) or path == "/" or is_inside(path, f"/{self.fs.zone}")

    def portable_settings(self) -> Mapping[str, Any] | None:
        """Return the account; None where it must not leave this machine, or can't.

        An account that acts for others may do so for all: its password goes to no worker. A folder
        of certificates can't be sent along.
        """
        if self.fs.account.client_user:
            return None
        settings = self.fs.account.settings()
        return None if "irods_ssl_ca_certificate_path" in settings else settings

    def prepare(self) -> None:
        """Make nothing: a collection that is missing in a zone is a mistake of the settings."""

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        self.fs.close_idle()

    def filesystem_path(self, path: str) -> str:
        """Return the logical path in the zone; PermissionError if it is of another zone."""
        fs_path = super().filesystem_path(path)
        if not self.may_hold(fs_path):
            raise PermissionError(errno.EACCES, f"{fs_path} is in another zone")
        return fs_path

    def map_error(self, exc: OSError) -> NdsError | None:
        """Keep the sentences that say what to do about the zone or the account."""
        message = exc.strerror or ""
        if isinstance(exc, ClientUserUnknown):
            return Forbidden(
                f"iRODS has no user {self.fs.user}, for whom this server would act. Ask who runs "
                "the zone for an account, or who runs this server to name yours "
                "(c.NdsApp.data_user)."
            )
        if isinstance(exc, AuthenticationFailed):
            return DataLoginRefused(f"{message}.")
        if isinstance(exc, ZoneUnavailable):
            return DataUnavailable(message)
        if isinstance(exc, ChecksumMismatch | ContentMissing | ReplacementIncomplete):
            return DataError(f"{message}.")
        # Where the class has no meaning of its own, the number has.
        kind = _KINDS_OF_NUMBERS.get(exc.errno or 0) if type(exc) is OSError else None
        return None if kind is None else kind(f"{message}.")

    def entry(self, path: str) -> Entry:
        """Describe one path."""
        return self.fs.entry(path)

    def list_page(self, path: str, after: str, limit: int, q: str) -> EntryPage:
        """List one page of a collection, by one query of the catalogue; of `/` the own zone."""
        if path == "/":
            shown = not after and q in self.fs.zone
            return EntryPage(entries=(self.entry(f"/{self.fs.zone}"),) if shown else ())
        return self.fs.ls_page(path, after, limit, q)

    def read_streams(self, size: int) -> int:
        """Return the connections that read an object of a size at the same time."""
        return min(self.fs.stream_count(size), MAX_READ_STREAMS)

    def open_read(self, path: str, start: int) -> Any:
        """Open an object, at a position, without read-ahead of its own."""
        file = self.fs.open(path, "rb", cache_type="none")
        if start:
            file.seek(start)
        return file

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Read a part of an object."""
        return self.fs.cat_file(path, start, stop)

    def open_write(self, path: str, target: str) -> Any:
        """Open a new object at its path, which is temporary already and needs no other one."""
        return self.fs.open(path, "wb", final_path=target)

    def abort_write(self, file: Any) -> None:
        """Remove what an unfinished write stored."""
        file.discard()

    def discard(self, path: str) -> None:
        """Remove a path for good, not by way of the zone's trash."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_path(path, recursive=True, trash=False)

    def roll_back(self, partial: str, target: str) -> None:
        """Remove what an interrupted write left; one that broke off amid its end is completed.

        Where the target has no good replica any more, the partial object has the only whole
        content: it takes the target's place.
        """
        there = self._replicas_of_object(target)
        broken = bool(there) and all(each.status != "good" for each in there)
        # Only what its writer closed has a checksum.
        written = self._replicas_of_object(partial) if broken else ()
        if any(each.status == "good" and each.checksum for each in written):
            self.fs.mv(partial, target, keep_metadata=True)
        self.discard(partial)

    def _replicas_of_object(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas of an object; none where there is none, or a collection."""
        try:
            return self.fs.replicas(path)
        except (FileNotFoundError, IsADirectoryError):
            return ()

    def remove_empty(self, path: str) -> None:
        """Remove an empty collection for good, not by way of the zone's trash."""
        self.fs.rmdir(path, trash=False)

    def has_digest(self, path: str, sha256: bytes) -> bool:
        """Compare with the registered checksum, or read back where that is of another kind."""
        checksum = self.fs.checksum(path)
        if not checksum.startswith("sha2:"):
            return super().has_digest(path, sha256)
        return checksum == sha2_text(sha256)

    def move_object(
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
        if recursive:
            self.fs.rm_path(path, recursive=True)
        else:
            super().remove(path, recursive=False)

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return the AVUs."""
        return self.fs.metadata(path)

    def set_metadata(self, path: str, avus: tuple[Avu, ...]) -> None:
        """Replace the AVUs."""
        self.fs.set_metadata(path, avus)

    def replicas(self, path: str) -> tuple[Replica, ...]:
        """Return the replicas."""
        return self.fs.replicas(path)

    def create_ticket(
        self, path: str, *, write: bool, expires: datetime | None, uses: int | None
    ) -> Ticket:
        """Make a ticket for a path."""
        made = self.fs.create_ticket(path, write=write, expires=expires, uses=uses)
        return self._with_url(made)

    def tickets(self) -> list[Ticket]:
        """Return the tickets for what is in the data root."""
        found = self.fs.tickets()
        return [self._with_url(each) for each in found if is_inside(each.path, self.base or "/")]

    def _with_url(self, ticket: Ticket) -> Ticket:
        account = self.fs.account
        url = f"{PROTOCOL}://{account.host}:{account.port}{ticket.path}"
        return msgspec.structs.replace(ticket, url=url)

    def remove_ticket(self, ticket: str) -> None:
        """Remove a ticket that the account has made."""
        self.fs.remove_ticket(ticket)

    def checksum(self, path: str) -> str:
        """Return the registered checksum; the server computes one where there is none."""
        return self.fs.checksum(path)

    def version(self) -> str:
        """Return the version of the zone, after checking that the root is there.

        Ordinary users see nothing above their homes, so that a root of the whole zone is asked for
        the account's home. Whether that is there is not the question.
        """
        if self.base:
            self.fs.ls_page(self.base, limit=1)
        else:
            self.fs.exists(self.fs.home)
        return f"iRODS {'.'.join(map(str, self.fs.server_version))}"


class OwnAccountBackend(IrodsBackend):
    """Backend whose account is its owner's own, who must log in again when the zone refuses it."""

    def map_error(self, exc: OSError) -> NdsError | None:
        """Say how to log in, where the account is refused."""
        if isinstance(exc, AuthenticationFailed):
            return DataLoginRequired(
                f"iRODS does not accept the login of {self.fs.user} any more. Run %ndslogin."
            )
        return super().map_error(exc)
