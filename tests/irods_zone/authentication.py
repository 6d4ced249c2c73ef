"""Proving who one is: native passwords in both ways of speaking, and PAM."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.store import Store

CHALLENGE = 64
PASSWORD = 50
HOUR = 3600.0
ANONYMOUS = "anonymous"
CODE = "123 456"
"""What an interactive login must say besides the password."""
DEFAULT_HOURS = 1
MAXIMUM_HOURS = 336


@dataclass(kw_only=True)
class Login:
    """How far a connection's authentication has come."""

    user: str
    challenge: str = ""
    done: bool = False


def new_challenge(login: Login) -> str:
    """Give a text that the client hashes with its password."""
    login.challenge = secrets.token_hex(CHALLENGE // 2)
    return login.challenge


def signature(login: Login) -> str:
    """Give what scrambles new passwords on this connection."""
    return login.challenge.encode()[:16].hex()


def check(store: Store, login: Login, digest: bytes) -> None:
    """Compare the client's hash with those of the passwords that are known."""
    with store.catalogue.change() as db:
        found = _passwords(db, login.user)
    if login.user == ANONYMOUS:
        login.done = True
        return
    for row in found:
        if digest == hash_of(login.challenge, row["password"]):
            if row["expires"] is not None and row["expires"] < time.time():
                raise CallError(Status.PASSWORD_EXPIRED)
            login.done = True
            return
    raise CallError(Status.INVALID_AUTHENTICATION)


def hash_of(challenge: str, password: str) -> bytes:
    """Hash a challenge with a password as the client does."""
    padded = password.encode()[:PASSWORD].ljust(PASSWORD, b"\0")
    digest = hashlib.md5(challenge.encode() + padded).digest()
    return digest.replace(b"\0", b"\1")


def converse(
    store: Store, login: Login, asked: dict[str, Any], *, encrypted: bool
) -> dict[str, Any]:
    """Answer one step of the flow that clients speak with servers from 4.3 on."""
    step = asked.get("next_operation")
    if asked.get("scheme") == "pam_interactive":
        return _ask_further(store, asked, encrypted=encrypted)
    if step == "auth_agent_auth_request" and asked.get("scheme") == "native":
        return asked | {"request_result": new_challenge(login)}
    if step == "auth_agent_auth_request" and asked.get("scheme") == "pam_password":
        if not encrypted:
            raise CallError(Status.PAM_FAILED)
        hours = int(asked.get("a_ttl") or 0)
        token = pam_token(store, str(asked["user_name"]), str(asked.get("a_pw", "")), hours)
        return {key: asked[key] for key in asked if key != "a_pw"} | {"request_result": token}
    if step == "auth_agent_auth_response":
        check(store, login, base64.b64decode(str(asked.get("digest", ""))))
        return asked
    raise CallError(Status.INVALID_INPUT, f"no authentication step is called '{step}'")


def _ask_further(store: Store, asked: dict[str, Any], *, encrypted: bool) -> dict[str, Any]:
    """Ask for a code, then for a password, as PAM may; the client brings back what was said."""
    if not encrypted:
        raise CallError(Status.PAM_FAILED)
    if asked["next_operation"] == "auth_agent_auth_request":
        return asked
    said = {key: value for key, value in asked.items() if key not in ("resp", "msg")}
    if "resp" not in asked:
        return said | {"next_operation": "waiting", "msg": {"prompt": "Code: "}}
    if "code" not in asked:
        prompt = {"prompt": "Password: "}
        return said | {"next_operation": "waiting_pw", "msg": prompt, "code": asked["resp"]}
    if asked["code"] != CODE:
        return said | {"next_operation": "not_authenticated"}
    hours = int(asked.get("time_to_live_in_hours") or 0)
    token = pam_token(store, str(asked["user_name"]), str(asked["resp"]), hours)
    return said | {"next_operation": "authenticated", "request_result": token}


def context(written: str) -> dict[str, str]:
    """Read `key=value;…` in which backslashes escape."""
    parts = re.split(r"(?<!\\);", written)
    pairs = (part.split("=", 1) for part in parts)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs}


def pam_token(store: Store, user: str, password: str, hours: int) -> str:
    """Exchange a PAM password for one that native authentication takes for a while."""
    with store.catalogue.change() as db:
        row = db.execute(
            "SELECT p.user_id FROM passwords p JOIN users u ON u.id = p.user_id"
            " WHERE u.name = ? AND p.password = ?",
            (user, f"pam:{password}"),
        ).fetchone()
        if row is None:
            raise CallError(Status.PAM_FAILED)
        if hours > MAXIMUM_HOURS:
            raise CallError(Status.PAM_INVALID_TTL)
        token = secrets.token_hex(12)
        expires = time.time() + HOUR * (hours or DEFAULT_HOURS)
        add_password(db, row["user_id"], token, expires=expires)
    return token


def set_password(db: sqlite3.Connection, user_id: int, password: str) -> None:
    """Set a user's password in the place of all others."""
    db.execute("DELETE FROM passwords WHERE user_id = ?", (user_id,))
    add_password(db, user_id, password)


def add_password(
    db: sqlite3.Connection, user_id: int, password: str, *, expires: float | None = None
) -> None:
    """Let a user in by one more password."""
    db.execute("INSERT INTO passwords VALUES (?, ?, ?)", (user_id, password, expires))


def _passwords(db: sqlite3.Connection, user: str) -> list[sqlite3.Row]:
    row = db.execute(
        "SELECT id FROM users WHERE name = ? AND type != 'rodsgroup'", (user,)
    ).fetchone()
    if row is None:
        raise CallError(Status.INVALID_USER)
    return db.execute(
        "SELECT password, expires FROM passwords WHERE user_id = ?", (row["id"],)
    ).fetchall()
