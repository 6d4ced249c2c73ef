"""Catalogue queries: GenQuery2 where the server has it, GenQuery1 otherwise.

A query is a list of columns, conditions and an order; both dialects are written from it, and give
rows of texts.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from irods import keywords as kw
from irods.api_number import api_number
from irods.column import Column, Criterion
from irods.exception import SYS_UNMATCHED_API_NUM, iRODSException
from irods.message import STR_PI, GenQuery2Request, iRODSMessage
from irods.models import Collection, DataObject
from irods.query import Query as GenQuery1

from nds_jupyter.data.irods.connections import PooledConnection
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


def ask(session: ZoneSession, query: Query) -> list[Row]:
    """Return the rows."""
    return ask_together(session, (query,))[0]


def ask_together(session: ZoneSession, queries: Sequence[Query | None]) -> list[list[Row]]:
    """Return the rows of each query; none where there is no query.

    GenQuery2 is asked for all at one time, each over a connection of its own where the server lets
    an account have several.
    """
    asked = [query for query in queries if query is not None]
    answers = iter(_answers(session, asked))
    return [[] if query is None else next(answers) for query in queries]


def _answers(session: ZoneSession, queries: Sequence[Query]) -> list[list[Row]]:
    # GenQuery2 knows nothing of tickets, and a list without limit needs the continuation of 1.
    modern = session.server_version >= GENQUERY2_SINCE and not session.ticket__
    if modern and session.speaks_genquery2 and all(each.limit is not None for each in queries):
        try:
            return _by_genquery2(session, queries)
        except SYS_UNMATCHED_API_NUM:
            # New enough, but built or set up without it.
            session.speaks_genquery2 = False
    with session.pool.get_connection() as conn:
        return [list(_by_genquery1(_Pinned(conn, session), each)) for each in queries]


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
            replies += _replies(conns, queries[len(replies) :])
    return [_genquery2_rows(reply) for reply in replies]


def _replies(conns: Sequence[PooledConnection], queries: Sequence[Query]) -> list[iRODSMessage]:
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


def _by_genquery1(pinned: _Pinned, query: Query) -> Iterator[Row]:
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


def like(text: str) -> str:
    """Return a text for the middle of a pattern; what it matches too much, the caller sorts out.

    Databases differ in whether and how a wildcard is escaped, so each becomes "any character".
    """
    return text.translate({ord("%"): "_", ord("\\"): "_"})


class _Pinned:
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
