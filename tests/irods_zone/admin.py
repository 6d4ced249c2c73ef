"""Calls that change users, groups and resources."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from xml.etree.ElementTree import Element

from irods.password_obfuscation import unscramble

from tests.irods_zone import authentication, collection_calls, collection_paths, objects
from tests.irods_zone.authentication import Login, signature
from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.handlers import Caller, Reply
from tests.irods_zone.packing import arguments, pack
from tests.irods_zone.permissions import find_user

USER_TYPES = ("rodsuser", "rodsadmin", "groupadmin")
PADDING = "1gCBizHWbwIYyWLoysGzTe6SyzqFKMniZX05faZHWAwQKXf6Fs"
# A random character and the name of the scheme.
PREFIX = len("x.ObfV2")


def administer(caller: Caller, body: Element, login: Login) -> Reply:
    """Do what `iadmin` asks."""
    if not caller.who.admin:
        raise CallError(Status.NO_API_PRIVILEGE)
    command, kind, name, *rest = arguments(body, (f"arg{number}" for number in range(10)))
    with caller.store.catalogue.change() as db:
        match command, kind:
            case "add", _:
                _add(caller, db, kind, name, rest[0])
            case "modify", "user":
                _modify_user(caller, db, login, name.partition("#")[0], rest)
            case "modify", "group":
                _modify_group(caller, db, name, rest)
            case "rm", "user" | "group":
                _remove_user(caller, db, name.partition("#")[0])
            case "rm", "resource":
                _remove_resource(db, name)
            case "rm", "unusedAVUs":
                db.execute("DELETE FROM avus WHERE id NOT IN (SELECT avu_id FROM avu_of)")
            case _:
                raise CallError(Status.INVALID_ARGUMENT)
    return Reply()


def change_own(caller: Caller, body: Element, login: Login) -> Reply:
    """Let users change their own password."""
    command, name, option, value = arguments(body, (f"arg{number}" for number in range(4)))
    if (command, option) != ("userpw", "password") or name != caller.who.name:
        raise CallError(Status.INVALID_ARGUMENT)
    with caller.store.catalogue.change() as db:
        _set_password(caller, db, login, name, value)
    return Reply()


def temporary_password(caller: Caller) -> Reply:
    """Give a text that, hashed with the password, lets in once more."""
    hashed_with = secrets.token_hex(8)
    with caller.store.catalogue.change() as db:
        own = _password(db, caller.who.name)
        padded = (hashed_with + own).encode().ljust(100, b"\0")
        token = hashlib.md5(padded).hexdigest()
        authentication.add_password(db, caller.who.user_id, token)
    return Reply(body=pack("getTempPasswordOut_PI", stringToHashWith=hashed_with))


def _add(caller: Caller, db: sqlite3.Connection, kind: str, name: str, option: str) -> None:
    match kind:
        case "user":
            _add_user(caller, db, name, option)
        case "group":
            caller.store.add_user(db, name, "rodsgroup")
        case "resource":
            caller.store.add_resource(db, name, option or "unixfilesystem")
        case "childtoresc":
            caller.store.add_child(db, name, option)
        case _:
            raise CallError(Status.INVALID_ARGUMENT)


def _add_user(caller: Caller, db: sqlite3.Connection, name: str, kind: str) -> None:
    if kind not in USER_TYPES:
        raise CallError(Status.INVALID_ARGUMENT)
    caller.store.add_user(db, name.partition("#")[0], kind)


def _modify_user(
    caller: Caller, db: sqlite3.Connection, login: Login, name: str, rest: list[str]
) -> None:
    user_id = find_user(db, name, caller.who.zone)
    option, value = rest[0], rest[1]
    if option == "password":
        _set_password(caller, db, login, name, value)
    elif option in ("type", "comment", "info"):
        db.execute(f"UPDATE users SET {option} = ? WHERE id = ?", (value, user_id))
    else:
        raise CallError(Status.INVALID_ARGUMENT)


def _set_password(
    caller: Caller, db: sqlite3.Connection, login: Login, name: str, value: str
) -> None:
    own = _password(db, caller.who.name)
    key = hashlib.md5((own[:90] + signature(login)[:100]).ljust(100, "\0").encode()).hexdigest()
    clear: str = unscramble(value, key=key, scramble_prefix="", block_chaining=True)[PREFIX:]
    for length in range(len(PADDING), 15, -1):
        if clear.endswith(PADDING[:length]):
            clear = clear[:-length]
            break
    authentication.set_password(db, find_user(db, name, caller.who.zone), clear)


def _password(db: sqlite3.Connection, name: str) -> str:
    row = db.execute(
        "SELECT password FROM passwords p JOIN users u ON u.id = p.user_id WHERE u.name = ?"
        " AND p.expires IS NULL",
        (name,),
    ).fetchone()
    return str(row["password"]) if row else ""


def _modify_group(caller: Caller, db: sqlite3.Connection, group: str, rest: list[str]) -> None:
    group_id = find_user(db, group, caller.who.zone)
    user_id = find_user(db, rest[1].partition("#")[0], rest[2] or caller.who.zone)
    if rest[0] == "add":
        added = db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (group_id, user_id))
        if not added.rowcount:
            raise CallError(Status.ALREADY_EXISTS)
    elif rest[0] == "remove":
        db.execute("DELETE FROM members WHERE group_id = ? AND user_id = ?", (group_id, user_id))
    else:
        raise CallError(Status.INVALID_ARGUMENT)


def _remove_user(caller: Caller, db: sqlite3.Connection, name: str) -> None:
    user_id = find_user(db, name, caller.who.zone)
    zone = caller.store.zone
    for home in (f"/{zone}/home/{name}", f"/{zone}/trash/home/{name}"):
        if collection_paths.find(db, home) is not None:
            for file in collection_calls.erase(db, home):
                caller.store.remove_file(file)
    db.execute("DELETE FROM members WHERE group_id = :id OR user_id = :id", {"id": user_id})
    db.execute("DELETE FROM access WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM passwords WHERE user_id = ?", (user_id,))
    db.execute("DELETE FROM users WHERE id = ?", (user_id,))
    objects.forget(db, user_id)


def _remove_resource(db: sqlite3.Connection, name: str) -> None:
    used = db.execute("SELECT 1 FROM replicas WHERE resource = ? LIMIT 1", (name,)).fetchone()
    if used:
        raise CallError(Status.INVALID_RESOURCE)
    db.execute("DELETE FROM resources WHERE name = ?", (name,))
