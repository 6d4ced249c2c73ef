"""Calls that were made on a real server, what each gave there, and the names that they use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from irods import exception, keywords
from irods.access import iRODSAccess
from irods.column import Like
from irods.connection import Connection
from irods.message import (
    CollectionRequest,
    FileOpenRequest,
    IntegerProperty,
    Message,
    StringStringMap,
    iRODSMessage,
)
from irods.meta import AVUOperation, iRODSMeta
from irods.models import Collection, DataObject, TicketQuery
from irods.session import iRODSSession
from irods.ticket import Ticket

from tests.irods_zone.codes import Api
from tests.zone.transcripts import FOLDER

KEPT = 1500
"""How much of a result the recording holds."""

UNNUMBERED = ("CollectionDoesNotExist", "DataObjectDoesNotExist", "NetworkException")
UNNUMBERED += ("AttributeError", "ResourceDoesNotExist")
STATED = ("objSize", "objType", "dataMode", "dataId", "chksum", "ownerName", "ownerZone")
STATED += ("createTime", "modifyTime")
SPECIAL = ("objPath", "rescHier", "phyPath", "cacheDir")
# What differs between two servers, or between two runs on one.
_DIFFERS = (
    (re.compile(r"'dataId': '\d+'"), "'dataId': 'ID'"),
    (re.compile(r"'0?1\d{9}'"), "'TIME'"),
)


class Number(Message):
    """The structure of a single number."""

    _name = "INT_PI"
    myInt = IntegerProperty()  # noqa: N815 - so it is written.


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a scenario and its outcome, or a note between two of them."""

    scenario: str
    note: str = ""
    call: str = ""
    result: Any = None
    exception: str = ""
    code: int | None = None
    text: str = ""
    rows: int | None = None
    seconds: float | None = None
    conns: tuple[int, ...] = ()


def calls(scenario: str, folder: Path) -> list[Call]:
    """Read the calls of a scenario in their order, with a folder in the place of the server's."""
    recorded = (FOLDER / "behaviour.json").read_text().replace("/vault/mnt", str(folder))
    known = msgspec.json.decode(recorded, type=list[Call])
    return [each for each in known if each.scenario == scenario]


def outcome(call: Call) -> str:
    """Write what a call gave on the real server."""
    if call.exception:
        return call.exception if call.exception in UNNUMBERED else f"{call.exception} {call.code}"
    if _is_cut(call):
        return f"{call.rows} rows"
    result = str(call.result)
    return _reduced(repr(sorted(ast.literal_eval(result))) if _is_unordered(call) else result)


def outcome_here(call: Call, names: dict[str, Any]) -> str:
    """Make a call, and write what it gives."""
    expression = call.call.partition("   #")[0]
    try:
        result = eval(expression, {**NAMES, **names})
    except (exception.DoesNotExist, exception.NetworkException) as error:
        return type(error).__name__
    except exception.iRODSException as error:
        code = getattr(error, "code", None)
        return type(error).__name__ if code is None else f"{type(error).__name__} {code}"
    except KeyError as error:
        return f"KeyError {error.args[0]}"
    except AttributeError as error:  # The client's, of an answer that it takes for another one.
        return type(error).__name__
    if _is_cut(call):
        return f"{len(result)} rows"
    return _reduced(repr(sorted(result) if _is_unordered(call) else result))


def _is_cut(call: Call) -> bool:
    return len(str(call.result)) >= KEPT


def _is_unordered(call: Call) -> bool:
    """Whether nothing says in which order the rows of a query come."""
    return '.genquery2(f"select ' in call.call and not re.search("distinct|order by", call.call)


def _reduced(text: str) -> str:
    for pattern, name in _DIFFERS:
        text = pattern.sub(name, text)
    return text


@contextmanager
def _connection(session: iRODSSession) -> Iterator[Connection]:
    """Give a connection that goes back to the pool also if a call on it fails."""
    conn = session.pool.get_connection()
    try:
        yield conn
    finally:
        conn.release()


def request(session: iRODSSession, api: int, body: Any) -> tuple[int, str]:
    """Send a call and give its status and its body."""
    with _connection(session) as conn:
        conn.send(iRODSMessage("RODS_API_REQ", msg=body, int_info=api))
        answer = conn.recv()
    return int(answer.int_info), (answer.msg or b"").decode()


def fields(body: str, name: str) -> list[str]:
    """Give what a field has wherever it stands."""
    return re.findall(f"<{name}>([^<]*)</{name}>", body)


def path_request(path: str, flags: int = 0, *, size: int = 0, **words: str) -> FileOpenRequest:
    """Write the structure of calls on a path."""
    return FileOpenRequest(
        objPath=path,
        createMode=0,
        openFlags=flags,
        offset=0,
        dataSize=size,
        numThreads=0,
        oprType=0,
        KeyValPair_PI=StringStringMap(words),
    )


def rawopen(session: iRODSSession, path: str, flags: int = 0) -> tuple[int, None]:
    """Open an object and leave it open."""
    return request(session, Api.OPEN, path_request(path, flags, size=-1))[0], None


def objstat(session: iRODSSession, path: str) -> tuple[int, dict[str, str]]:
    """Ask what a path is."""
    kind, body = request(session, Api.STAT, path_request(path))
    plain, _, special = body.partition("<SpecColl_PI>")
    found = {name: fields(plain, name)[0] for name in STATED}
    if special:
        found |= {name: fields(special, name)[0] for name in SPECIAL}
    return kind, found


def names_in(session: iRODSSession, path: str) -> list[str]:
    """List the objects of a collection by the old query language."""
    asked = session.query(DataObject.name).filter(Collection.name == path)
    return [row[DataObject.name] for row in asked]


def colls_below(session: iRODSSession, path: str) -> list[str]:
    """List the collections in a collection by the old query language."""
    asked = session.query(Collection.name).filter(Collection.parent_name == path)
    return [row[Collection.name] for row in asked]


def status(session: iRODSSession, path: str) -> list[tuple[Any, ...]]:
    """Give number, resource, status, size and checksum of each replica."""
    parent, _, name = path.rpartition("/")
    columns = (
        DataObject.replica_number,
        DataObject.resource_name,
        DataObject.replica_status,
        DataObject.size,
        DataObject.checksum,
    )
    asked = session.query(*columns).filter(Collection.name == parent, DataObject.name == name)
    return sorted(tuple(row[column] for column in columns) for row in asked)


def uses(session: iRODSSession, ticket: str) -> list[tuple[Any, ...]]:
    """Give what a ticket was used for, and its limits."""
    known = TicketQuery.Ticket
    columns = (
        known.uses_count,
        known.uses_limit,
        known.write_file_count,
        known.write_file_limit,
        known.write_byte_count,
        known.write_byte_limit,
    )
    asked = session.query(*columns).filter(known.string == ticket)
    return [tuple(row[column] for column in columns) for row in asked]


def read(session: iRODSSession, path: str, **options: str) -> bytes:
    """Read an object."""
    with session.data_objects.open(path, "r", **options) as opened:
        return bytes(opened.read())


def write(
    session: iRODSSession, path: str, content: bytes, mode: str = "w", **options: str
) -> None:
    """Write an object."""
    with session.data_objects.open(path, mode, **options) as opened:
        opened.write(content)


def special(session: iRODSSession, path: str, target: str, kind: str, **words: str) -> int:
    """Mount a folder on a collection, link to another one, or end that."""
    asked = path_request(path, filePath=target, collectionType=kind, **words)
    return request(session, Api.REGISTER, asked)[0]


def speccoll(session: iRODSSession, path: str, kind: str) -> tuple[int, list[str]]:
    """List a special collection by the call that is like a query."""
    code, body = request(session, Api.QUERY_SPECIAL, path_request(path, selObjType=kind))
    return code, fields(body, "value")[:5]


def opencoll(session: iRODSSession, path: str) -> list[tuple[Any, ...]]:
    """List a collection by the calls that open and read it."""
    flagged = CollectionRequest(collName=path, flags=0, oprType=0, KeyValPair_PI=StringStringMap())
    number = request(session, Api.OPEN_COLLECTION, flagged)[0]
    found: list[tuple[Any, ...]] = []
    wanted = ("objType", "collName", "dataName", "dataSize", "collClass", "type")
    try:
        while True:
            code, body = request(session, Api.READ_COLLECTION, Number(myInt=number))
            entry = [(fields(body, each) or [""])[0] for each in wanted]
            found.append((code, *entry))
    except exception.iRODSException as error:
        found.append((type(error).__name__, error.code))
    request(session, Api.CLOSE_COLLECTION, Number(myInt=number))
    return found


NAMES: dict[str, Any] = {
    each.__name__: each
    for each in (
        rawopen,
        objstat,
        names_in,
        colls_below,
        status,
        uses,
        read,
        write,
        special,
        speccoll,
        opencoll,
        AVUOperation,
        Collection,
        DataObject,
        Like,
        Ticket,
        iRODSAccess,
        iRODSMeta,
    )
} | {"kw": keywords}
