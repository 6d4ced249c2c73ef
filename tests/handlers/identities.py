"""Users of a server that knows them by name, each by a token of their own."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User

ADA, BOB, READER = "ada-token", "bob-token", "reader-token"
_NAMES = {ADA: "ada", BOB: "bob", READER: "ada-reader"}


class NamedUsers(IdentityProvider):
    """Knows two owners, and one who may only look; everyone has a cookie after the first visit."""

    async def get_user_token(self, handler: Any) -> User | None:
        name = _NAMES.get(self.get_token(handler) or "")
        return None if name is None else User(name)


class ReadersLook(Authorizer):
    """Lets readers read."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:
        return action == "read" or not user.username.endswith("-reader")
