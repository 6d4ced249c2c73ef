"""Accounts of a data root: with which one it is opened for an owner (`c.NdsApp.data_identity`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import msgspec

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import IRODS, UnusableBackend, open_backend
from nds_jupyter.errors import Forbidden

if TYPE_CHECKING:
    from nds_jupyter.data.irods.config import Account
    from nds_jupyter.data.logins import LoginStore

UserOf = Callable[[str], str | None]
"""Gives the iRODS user of an owner; None or empty where there is none."""

OWNER_FIELD = "{owner}"
"""What stands for the owner in `c.NdsApp.data_root`."""

_PLAIN_CHARACTERS = "@+-_. "


class DataIdentity:
    """Rule that says which account, and which folder, the data root of an owner is opened with.

    Parameters
    ----------
    url
        Of the data root; with ``{owner}`` in it every owner has a folder or collection.
    """

    name: ClassVar[str]
    """The value of `c.NdsApp.data_identity`."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def has_folders(self) -> bool:
        """Whether every owner has a folder, which is made when it is first needed."""
        return OWNER_FIELD in self.url

    def key(self, owner: str) -> str:
        """Return what tells the roots of owners apart; owners of one key share one root."""
        return owner

    def login_id(self, key: str) -> str:
        """Return what changes whenever the root of a key must be opened anew.

        Raises
        ------
        DataLoginRequired
            If the owner must log in first.
        Forbidden
            If the owner has no account.
        """
        raise NotImplementedError

    def open(self, key: str) -> Backend:
        """Return the backend of a root; this reads files, and asks no server."""
        raise NotImplementedError


class ServerIdentity(DataIdentity):
    """The server's own account, for every owner."""

    name = "server"

    def key(self, owner: str) -> str:
        """Return the owner where each has a folder, else the same for all."""
        return owner if self.has_folders else ""

    def login_id(self, key: str) -> str:
        """Return the same for ever."""
        del key
        return ""

    def open(self, key: str) -> Backend:
        """Return the backend."""
        return open_backend(root_url(self.url, key))


class ProxyIdentity(DataIdentity):
    """The server's account, a rodsadmin of an iRODS zone, that acts for each owner.

    Parameters
    ----------
    user_of
        Gives the iRODS user of an owner; None or empty where there is none.
    """

    name = "proxy"

    def __init__(self, url: str, user_of: UserOf = str) -> None:
        super().__init__(url)
        self._user_of = user_of

    def login_id(self, key: str) -> str:
        """Return the owner's iRODS user."""
        return user_of_owner(self._user_of, key)

    def open(self, key: str) -> Backend:
        """Return the backend of the owner's iRODS user."""
        if not self.url.startswith(IRODS):
            return not_irods(self.name)
        user = user_of_owner(self._user_of, key)
        backend = open_backend(root_url(self.url, key), client_user=user)
        account = getattr(backend.fs, "account", None)
        if account is not None and account.user == user:
            # Acting for itself, the account would lend that owner all that it may do.
            raise Forbidden(
                f"{user} is the account with which this server acts for others, and stands for no "
                "owner. Ask who runs this server for another (c.NdsApp.data_user)."
            )
        return backend


class OwnIdentity(DataIdentity):
    """The account with which each owner has logged in.

    Parameters
    ----------
    logins
        Keeps them.
    """

    name = "own"

    def __init__(self, url: str, logins: LoginStore) -> None:
        super().__init__(url)
        self.logins = logins

    def login_id(self, key: str) -> str:
        """Return the id of the owner's login."""
        return self.logins.find(key).login_id

    def open(self, key: str) -> Backend:
        """Return the backend of the owner's account."""
        if not self.url.startswith(IRODS):
            return not_irods(self.name)
        from nds_jupyter.data.irods_backend import OwnAccountBackend

        login = self.logins.decrypt(key)
        account = {
            "user": login.user,
            "password": login.password,
            "irods_authentication_scheme": "native",
        }
        backend = open_backend(root_url(self.url, key), **account)
        if isinstance(backend, UnusableBackend):
            return backend
        return OwnAccountBackend(backend.fs, backend.base)

    def account(self, owner: str, user: str, password: str, scheme: str | None) -> Account:
        """Return the account of an owner who logs in, in the zone of the data root.

        Parameters
        ----------
        scheme
            ``native``, ``pam_password`` or ``pam_interactive``; None for what the server's iRODS
            environment says.

        Raises
        ------
        ConfigurationError
            If the server's iRODS environment does not say where the zone is.
        """
        from nds_jupyter.data.irods.config import account_from, settings_from_url

        given = {"user": user, "password": password or "-", "irods_authentication_scheme": scheme}
        account = account_from(settings_from_url(root_url(self.url, owner)) | given)
        if scheme != "pam_interactive":
            return account
        return msgspec.structs.replace(account, scheme=scheme, password="")

    def keep(self, *, owner: str, user: str, password: str, expires: datetime) -> None:
        """Keep the login of an owner, who goes on with it."""
        from nds_jupyter.data.logins import Login

        self.logins.add(Login(owner=owner, user=user, password=password, expires=expires))


def user_of_owner(user_of: UserOf, owner: str) -> str:
    """Return the iRODS user of an owner.

    Raises
    ------
    Forbidden
        If there is none.
    """
    try:
        user = user_of(owner)
    except LookupError:
        # A dict's own item will do as well as its `get`.
        user = None
    if not user or not is_user_name(user):
        raise Forbidden(
            f"This server knows no iRODS user of {owner}. Ask who runs it to name one "
            "(c.NdsApp.data_user)."
        )
    return user


def not_irods(identity: str) -> Backend:
    """Return the backend of a root that has no accounts for owners."""
    return UnusableBackend(
        f"c.NdsApp.data_identity is {identity}: that needs an irods:// URL as c.NdsApp.data_root."
    )


def is_user_name(name: str) -> bool:
    """Whether a name can be that of an iRODS user of the server's own zone."""
    return name.isprintable() and not {"/", "#"} & set(name) and name not in {".", ".."}


def root_url(template: str, owner: str) -> str:
    """Return the URL of an owner's data root.

    An owner's name is one part of the path and nothing else: what could lead out of it, or means
    something in a URL, is percent-encoded; different owners never get the same folder.
    """
    part = "".join(
        each if each.isalnum() or each in _PLAIN_CHARACTERS else quote(each, safe="")
        for each in owner
    )
    if not part.strip(". "):
        # No folder can have such a name for its own.
        part = "".join(f"%{ord(each):02X}" for each in part) or "%"
    return template.replace(OWNER_FIELD, part)
