"""Owners' logins to the data root: kept encrypted on the server's disk until they end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from nds_jupyter.errors import DataLoginRequired

KEY_FILE = "key"
SUFFIX = ".login"

LOG_IN = "Run %ndslogin."
"""Ends the sentences about a login that is missing."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """An owner's login to an iRODS zone.

    Parameters
    ----------
    user
        The iRODS user.
    password
        For native authentication: the user's own, or the one that the zone gave for a PAM
        password, which itself is never kept.
    expires
        When it ends.
    login_id
        Tells it from other logins of the owner.
    """

    owner: str
    user: str
    password: str
    expires: datetime
    login_id: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))

    def __repr__(self) -> str:
        return f"<login of {self.owner} as {self.user}>"


class KeptLogin(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a login without decrypting it."""

    user: str
    expires: datetime
    login_id: str
    token: bytes

    def __repr__(self) -> str:
        return f"<login as {self.user}>"


class LoginStore:
    """The logins of all owners: one encrypted file each, and the key beside them.

    A job outlives the server's process, and the next one delivers its results: so logins are on
    the disk. Files and key can be read by the server's account only.

    Parameters
    ----------
    folder
        Made with the first login.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._kept: dict[str, KeptLogin] = {}
        self._load()

    def find(self, owner: str) -> KeptLogin:
        """Return what is known of the login of an owner.

        Raises
        ------
        DataLoginRequired
            If there is none, or none any more.
        """
        with self._lock:
            kept = self._kept.get(owner)
            if kept is None:
                raise DataLoginRequired(f"The data root needs a login of {owner}. {LOG_IN}")
            if kept.expires <= datetime.now(UTC):
                self.remove(owner)
                raise DataLoginRequired(f"The login of {owner} as {kept.user} has ended. {LOG_IN}")
            return kept

    def decrypt(self, owner: str) -> Login:
        """Return the login of an owner, its password included; see `find`."""
        login = _decrypt(self._key(), self.find(owner).token)
        if login is None:
            raise DataLoginRequired(f"The login of {owner} can't be read any more. {LOG_IN}")
        return login

    def add(self, login: Login) -> None:
        """Keep a login, in the place of the owner's earlier one."""
        token = Fernet(self._key()).encrypt(msgspec.json.encode(login))
        with self._lock:
            self._write(self._path(login.owner), token)
            self._kept[login.owner] = _kept(login, token)

    def remove(self, owner: str) -> None:
        """Forget the login of an owner; one that is gone is no error."""
        with self._lock:
            self._kept.pop(owner, None)
            self._path(owner).unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        # An owner's name may hold anything.
        return self._folder / f"{hashlib.sha256(owner.encode()).hexdigest()}{SUFFIX}"

    def _key(self) -> bytes:
        path = self._folder / KEY_FILE
        with self._lock:
            if not path.exists():
                self._write(path, Fernet.generate_key())
            return path.read_bytes()

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Such a file is its account's alone from its beginning.
        handle, temporary = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)

    def _load(self) -> None:
        """Read what an earlier process kept; what has ended, or can't be read, is removed."""
        paths = list(self._folder.glob(f"*{SUFFIX}"))
        for path in paths:
            token = path.read_bytes()
            login = _decrypt(self._key(), token)
            if login is None or login.expires <= datetime.now(UTC):
                path.unlink(missing_ok=True)
            elif self._path(login.owner) == path:
                self._kept[login.owner] = _kept(login, token)


def _kept(login: Login, token: bytes) -> KeptLogin:
    return KeptLogin(user=login.user, expires=login.expires, login_id=login.login_id, token=token)


def _decrypt(key: bytes, token: bytes) -> Login | None:
    with contextlib.suppress(InvalidToken, ValueError):
        return msgspec.json.decode(Fernet(key).decrypt(token), type=Login)
    return None
