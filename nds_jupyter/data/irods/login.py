"""Logins to a zone: an account proves itself, and gets a password that lasts for a while."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from irods import auth
from irods.auth import pam_interactive, pam_password

from nds_jupyter.data.irods.config import Account
from nds_jupyter.data.irods.connection_pool import PooledConnection
from nds_jupyter.data.irods.exceptions import CLIENT_ERRORS, map_exception
from nds_jupyter.data.irods.sessions import SessionTimeouts, ZoneSession

LOGIN_TIMEOUTS = SessionTimeouts(timeout=30.0, patience=1.0, attempts=1)
"""Somebody waits for a login."""

AskUser = Callable[[str, bool], str]
"""Called with a prompt, and whether the answer is secret; returns the answer."""

# The client writes whole messages, passwords included, into its log.
for _name in ("irods.auth", "irods.message"):
    logging.getLogger(_name).setLevel(logging.INFO)


def log_in(account: Account, *, hours: int, ask: AskUser | None = None) -> Account:
    """Prove an account to its zone.

    Parameters
    ----------
    account
        With scheme ``native`` or ``pam_password``, and its password; or ``pam_interactive``.
    hours
        For which a password is wanted that the zone gives for PAM.
    ask
        Answers what an interactive PAM asks.

    Returns
    -------
    Account
        With scheme ``native`` and a password for it: the same, or what the zone gave.

    Raises
    ------
    AuthenticationFailed
        If the zone does not accept it.
    ZoneUnavailable
        If it does not answer.
    """
    session = ZoneSession(account, LOGIN_TIMEOUTS)
    try:
        if account.scheme == "pam_interactive":
            password = _converse(session, hours, ask)
        else:
            password = _connect(session, hours) or account.password
    except CLIENT_ERRORS as exc:
        raise map_exception(exc, f"/{account.zone}") from exc
    finally:
        session.pool.close_idle()
    return msgspec.structs.replace(account, scheme="native", password=password)


def _connect(session: ZoneSession, hours: int) -> str:
    """Connect, and return the password that the zone gave; empty for native authentication."""
    given: list[str] = []
    for name, value in (
        (auth.CLIENT_GET_REQUEST_RESULT, given),
        (pam_password.AUTH_TTL_KEY, str(hours)),
    ):
        session.set_auth_option_for_scheme("pam_password", name, value)
    # Where servers before 4.3 give theirs.
    session.pool.account.store_pw = given
    session.pool.release_connection(session.pool.get_connection())
    return given[0] if given else ""


def _converse(session: ZoneSession, hours: int, ask: AskUser | None) -> str:
    if ask is None:
        raise ValueError("An interactive login needs somebody to ask.")
    given: list[str] = []
    # The client would ask at the server's own terminal; so the connection comes without a login.
    session.pool._need_auth = False
    connection = session.pool.get_connection()
    try:
        conversation = _Conversation(connection, ask)
        conversation.authenticate_client(
            initial_request={
                auth.FORCE_PASSWORD_PROMPT: True,
                auth.STORE_PASSWORD_IN_MEMORY: True,
                auth.CLIENT_GET_REQUEST_RESULT: given,
                "time_to_live_in_hours": str(hours),
            }
        )
    finally:
        session.pool.release_connection(connection, destroy=True)
    return given[0]


class _Conversation(pam_interactive._pam_interactive_ClientAuthState):  # type: ignore[misc]
    """Interactive PAM login whose prompts go to who logs in."""

    def __init__(self, connection: PooledConnection, ask: AskUser) -> None:
        self._depot = auth.AuthStorage.create_temp_pw_storage(connection)
        super().__init__(connection, self._depot, scheme=pam_interactive.PAM_INTERACTIVE_SCHEME)
        self._ask = ask

    def _get_input(
        self, server_req: dict[str, Any], is_password: bool = False, prompt_label: str = "Input: "
    ) -> Any:
        if not self._retrieve_entry(server_req):
            prompt = str(server_req.get("msg", {}).get("prompt", prompt_label))
            answer = self._ask(prompt, is_password)
            server_req["resp"] = answer or self._get_default_value(server_req)
        self._patch_state(server_req)
        server_req[auth.__NEXT_OPERATION__] = pam_interactive.AUTH_AGENT_AUTH_RESPONSE
        return auth._auth_api_request(self.conn, server_req)
