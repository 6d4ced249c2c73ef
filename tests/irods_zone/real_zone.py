"""A real zone that the environment names, behind the interface of ours."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from irods.exception import CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME
from irods.session import iRODSSession


class RealZone:
    """The zone of `NDS_TEST_IRODS_ENV`; its user must be an administrator to make other users."""

    def __init__(self, environment_file: str) -> None:
        self._environment = dict(json.loads(Path(environment_file).read_text()))
        self._user = str(self._environment["irods_user_name"])
        self._passwords = {self._user: os.environ["NDS_TEST_IRODS_PASSWORD"]}

    @property
    def name(self) -> str:
        """The zone's name, the first part of every path."""
        return str(self._environment["irods_zone_name"])

    def password(self, user: str = "") -> str:
        """Give a user's password."""
        return self._passwords[self._ensure_user(user)]

    def home(self, user: str = "") -> str:
        """Give a user's home collection."""
        return f"/{self.name}/home/{self._ensure_user(user)}"

    def environment(self, user: str = "", **changes: object) -> dict[str, Any]:
        """Give what `irods_environment.json` says for a user, who is made if need be."""
        own = {"irods_user_name": self._ensure_user(user), "irods_home": self.home(user)}
        return {**self._environment, **own, **changes}

    def session(self, user: str = "", **options: Any) -> iRODSSession:
        """Give a session of a user, who is made if need be."""
        known = self.environment(user)
        tls = ("irods_client_server_", "irods_encryption_", "irods_ssl_")
        return iRODSSession(
            **{name: value for name, value in known.items() if name.startswith(tls)},
            host=known["irods_host"],
            port=known["irods_port"],
            user=known["irods_user_name"],
            zone=self.name,
            password=self.password(user),
            **options,
        )

    def close(self) -> None:
        """Remove the users that were made."""
        with self.session() as session:
            for user in self._passwords.keys() - {self._user}:
                self._empty_trash(user)
                session.collections.remove(self.home(user), force=True, irodsAdmin="")
                session.users.remove(user)

    def _empty_trash(self, user: str) -> None:
        """Remove for good what a user has removed, which would keep the user in the zone."""
        with self.session(client_user=user) as session:
            trash = session.collections.get(f"/{self.name}/trash/home/{user}")
            for each in trash.subcollections:
                each.remove(recurse=True, force=True)
            for each in trash.data_objects:
                each.unlink(force=True)

    def _ensure_user(self, user: str) -> str:
        if user and user not in self._passwords:
            password = secrets.token_hex(8)
            with self.session() as session:
                try:
                    session.users.create(user, "rodsuser")
                except CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME as exc:
                    raise RuntimeError(
                        f"The zone has a user {user}, whom the tests make and remove. If a killed "
                        f"run left that one: iadmin rmuser {user}"
                    ) from exc
                session.users.modify(user, "password", password)
            self._passwords[user] = password
        return user or self._user
