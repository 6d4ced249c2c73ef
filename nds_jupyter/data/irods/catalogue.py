"""Catalogue queries: GenQuery2 where the server has it, GenQuery1 otherwise.

A query is a list of columns, conditions and an order; both dialects are written from it, and give
rows of texts.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec
from irods import keywords as kw
from irods.api_number import api_number
from irods.column import Column, Criterion
from irods.exception import SYS_UNMATCHED_API_NUM, iRODSException
from irods.message import STR_PI, GenQuery2Request, iRODSMessage
from irods.models import Collection, DataObject
from irods.query import Query as GenQuery1

from nds_jupyter.data.entries import Entry, Kind, Replica
from nds_jupyter.data.irods.connection_pool import PooledConnection
from nds_jupyter.data.irods.sessions import ZoneSession

GENQUERY2_SINCE = (4, 3, 2)

Row = tuple[str, ...]

COLUMNS: dict[str, Column] = {
    "COLL_ID": Collection.id,
    "COLL_NAME": Collection.name,
    "COLL_PARENT_NAME": Collection.parent_name,
    "COLL_CREATE_TIME": Collection.create_time,
    "COLL_MODIFY_TIME": Collection.modify_time,
    "DATA_ID": DataObject.id,
    "DATA_NAME": DataObject.name,
    "DATA_SIZE": DataObject.size,
    "DATA_CHECKSUM": DataObject.checksum,
    "DATA_CREATE_TIME": DataObject.create_time,
    "DATA_MODIFY_TIME": DataObject.modify_time,
    "DATA_REPL_NUM": DataObject.replica_number,
    "DATA_REPL_STATUS": DataObject.replica_status,
    "DATA_RESC_HIER": DataObject.resc_hier,
}


class Condition(msgspec.Struct, frozen=True):
    """A column compared with a text; `operator` is ``=``, ``>``, ``<>`` or ``like``."""

    column: str
    operator: str
    value: str


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask.

    Parameters
    ----------
    where
        All of them must hold.
    order
        Columns, first to last.
    limit
        Rows wanted; None for all.
    zone
        Whose catalogue.
    """

    select: tuple[str, ...]
    where: tuple[Condition, ...]
    zone: str
    order: tuple[str, ...] = ()
    limit: int | None = None


def run_query(session: ZoneSession, query: Query) -> list[Row]:
    """Return the rows."""
    return run_queries(session, (query,))[0]


def run_queries(session: ZoneSession, queries: Sequence[Query | None]) -> list[list[Row]]:
    """Return the rows of each query; none where there is no query.

    GenQuery2 is asked for all at one time, each over a connection of its own where the server lets
    an account have several.
    """
    asked = [query for query in queries if query is not None]
    answers = iter(_run_queries(session, asked))
    return [[] if query is None else next(answers) for query in queries]


def _run_queries(session: ZoneSession, queries: Sequence[Query]) -> list[list[Row]]:
    # GenQuery2 knows nothing of tickets, and a list without limit needs the continuation of 1.
    modern = session.server_version >= GENQUERY2_SINCE and not session.ticket__
    if modern and session.supports_genquery2 and all(each.limit is not None for each in queries):
        try:
            return _by_genquery2(session, queries)
        except SYS_UNMATCHED_API_NUM:
            # New enough, but built or set up without it.
            session.supports_genquery2 = False
    with session.pool.get_connection() as conn:
        return [list(_by_genquery1(_PinnedConnection(conn, session), each)) for each in queries]


def _by_genquery2(session: ZoneSession, queries: Sequence[Query]) -> list[list[Row]]:
    """Ask over several connections at a time, or over those that can be had."""
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(session.pool.get_connection())]
        for _ in queries[1:]:
            spare = session.pool.spare_connection()
            if spare is None:
                break
            conns.append(stack.enter_context(spare))
        replies: list[iRODSMessage] = []
        while len(replies) < len(queries):
            replies += _send_queries(conns, queries[len(replies) :])
    return [_genquery2_rows(reply) for reply in replies]


def _send_queries(
    conns: Sequence[PooledConnection], queries: Sequence[Query]
) -> list[iRODSMessage]:
    """Send a question over each before the first answer is read: so a thread can ask several."""
    asked = [*zip(conns, queries, strict=False)]
    for conn, query in asked:
        conn.send(_genquery2_message(query))
    replies, refused = [], None
    for conn, _ in asked:
        try:
            replies.append(conn.recv())
        except iRODSException as exc:
            # The others are read all the same: only then they can be asked again.
            refused = refused or exc
    if refused is not None:
        raise refused
    return replies


def _genquery2_message(query: Query) -> iRODSMessage:
    body = GenQuery2Request()
    body.query_string = genquery2_text(query)
    body.zone = query.zone
    body.sql_only = body.column_mappings = 0
    return iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number["GENQUERY2_AN"])


def _genquery2_rows(reply: iRODSMessage) -> list[Row]:
    found = json.loads(reply.get_main_message(STR_PI).myStr)
    # Every cell is a text, or nothing.
    return [tuple(row) if None not in row else tuple(cell or "" for cell in row) for row in found]


def genquery2_text(query: Query) -> str:
    """Write a query in GenQuery2, quotes doubled."""
    where = " and ".join(
        f"{each.column} {each.operator} '{each.value.replace(chr(39), chr(39) * 2)}'"
        for each in query.where
    )
    text = f"select {', '.join(query.select)} where {where}"
    if query.order:
        text += f" order by {', '.join(query.order)}"
    return f"{text} limit {query.limit}"


def _by_genquery1(pinned: _PinnedConnection, query: Query) -> Iterator[Row]:
    # The client's limit is the size of a batch, and the server's own most is 256 rows.
    asked = GenQuery1(pinned, *(COLUMNS[name] for name in query.select))
    for name in query.order:
        asked = asked.order_by(COLUMNS[name])
    asked = asked.filter(*(_criterion(each) for each in query.where))
    if query.zone and query.zone != pinned.zone:
        asked = asked.add_keyword(kw.ZONE_KW, query.zone)
    if query.limit is not None:
        asked = asked.limit(query.limit)
    left = query.limit
    with contextlib.closing(asked.get_batches()) as batches:
        for batch in batches:
            for row in _rows(batch.rows, query.select):
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield row


def _rows(rows: Iterable[dict[Any, Any]], select: tuple[str, ...]) -> Iterator[Row]:
    for row in rows:
        yield tuple(_text(row[COLUMNS[name]]) for name in select)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "timestamp"):
        return str(int(value.timestamp()))
    return str(value)


def _criterion(condition: Condition) -> Criterion:
    return Criterion(condition.operator, COLUMNS[condition.column], condition.value)


def like_pattern(text: str) -> str:
    """Return a text for the middle of a pattern; what it matches too much, the caller sorts out.

    Databases differ in whether and how a wildcard is escaped, so each becomes "any character".
    """
    return text.translate({ord("%"): "_", ord("\\"): "_"})


class _PinnedConnection:
    """What a query of the client needs of a session, on one connection.

    The client asks for the next batch on whatever connection is free, but only the one that began
    knows the query.
    """

    def __init__(self, conn: PooledConnection, session: ZoneSession) -> None:
        self.pool = self
        self.zone = session.zone
        self.server_version = session.server_version
        self._conn = conn

    def get_connection(self) -> contextlib.AbstractContextManager[PooledConnection]:
        return contextlib.nullcontext(self._conn)


def zone_of(path: str) -> str:
    """Return whose catalogue knows a path; empty for the root, which every zone has."""
    return path.split("/")[1]


OBJECT_COLUMNS = (
    "DATA_NAME",
    "DATA_SIZE",
    "DATA_CHECKSUM",
    "DATA_MODIFY_TIME",
    "DATA_ID",
    "DATA_REPL_STATUS",
    "DATA_CREATE_TIME",
)
COLLECTION_COLUMNS = ("COLL_NAME", "COLL_MODIFY_TIME", "COLL_ID", "COLL_CREATE_TIME")
"""The name comes first; when it was made comes last, and can be left out."""

REPLICA_STATUS = {"0": "stale", "1": "good", "2": "intermediate", "3": "locked", "4": "locked"}


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A collection, or the newest good replica of a data object.

    Parameters
    ----------
    id
        The catalogue's own; it survives a rename.
    created
        None where it was not asked for.
    """

    path: str
    kind: Kind
    id: str
    size: int = 0
    checksum: str = ""
    modified: datetime
    created: datetime | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def stamp(self) -> str:
        """Changes whenever the content does."""
        return f"{self.id}-{self.size}-{int(self.modified.timestamp())}-{self.checksum}"

    def entry(self) -> Entry:
        """Return it as an entry of a data root."""
        return Entry(
            name=self.name,
            path=self.path,
            kind=self.kind,
            size=self.size,
            modified=self.modified,
            checksum=self.checksum or None,
            stamp=self.stamp,
        )

    def info(self) -> dict[str, Any]:
        """Return it as fsspec describes a file or directory."""
        return {
            "name": self.path,
            "size": self.size,
            "type": "directory" if self.kind is Kind.COLLECTION else "file",
            "checksum": self.checksum or None,
            "created": self.created,
            "modified": self.modified,
            "id": self.id,
        }


def collection(row: Row) -> CatalogueEntry:
    """Read a row of `COLLECTION_COLUMNS`."""
    path, modified, number, *created = row
    return CatalogueEntry(
        path=path,
        kind=Kind.COLLECTION,
        id=number,
        modified=timestamp(modified),
        created=timestamp(created[0]) if created else None,
    )


def data_objects_from_rows(rows: Iterable[Row], parent: str) -> Iterator[CatalogueEntry]:
    """Read rows of `OBJECT_COLUMNS`, those of one object behind each other."""
    for name, replicas in groupby(rows, key=lambda row: row[0]):
        yield data_object(list(replicas), f"{parent.rstrip('/')}/{name}")


def data_object(replicas: list[Row], path: str) -> CatalogueEntry:
    """Return the newest good replica, or the newest one where none is good."""
    best = replicas[0] if len(replicas) == 1 else max(replicas, key=_preference)
    _, size, checksum, modified, number, _, *created = best
    return CatalogueEntry(
        path=path,
        kind=Kind.DATA_OBJECT,
        id=number,
        size=int(size),
        checksum=checksum,
        modified=timestamp(modified),
        created=timestamp(created[0]) if created else None,
    )


def _preference(replica: Row) -> tuple[bool, int, str, int]:
    return replica[5] == "1", int(replica[3]), replica[2], int(replica[1])


def replica(row: Row) -> Replica:
    """Read a row of `REPLICA_COLUMNS`."""
    number, hierarchy, status, size, checksum, modified = row
    return Replica(
        number=int(number),
        resource=hierarchy,
        status=REPLICA_STATUS.get(status, "intermediate"),
        size=int(size),
        checksum=checksum or None,
        modified=timestamp(modified),
    )


REPLICA_COLUMNS = (
    "DATA_REPL_NUM",
    "DATA_RESC_HIER",
    "DATA_REPL_STATUS",
    "DATA_SIZE",
    "DATA_CHECKSUM",
    "DATA_MODIFY_TIME",
)


def timestamp(text: str) -> datetime:
    """Read a time of the catalogue, seconds since 1970 with leading zeros."""
    return datetime.fromtimestamp(int(text or 0), UTC)
