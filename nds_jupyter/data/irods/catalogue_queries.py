"""Catalogue queries and their rows as values: GenQuery2 where the server has it, else GenQuery1.

A query is a list of columns, conditions and an order; both dialects are generated from it, and
return rows of strings.
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
from irods.column import Column, Criterion, String
from irods.exception import SYS_UNMATCHED_API_NUM, iRODSException
from irods.message import STR_PI, GenQuery2Request, iRODSMessage
from irods.models import Collection, CollectionMeta, DataObject, DataObjectMeta, ModelBase
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
    "COLL_TYPE": ModelBase.columns().setdefault(510, Column(String, "COL_COLL_TYPE", 510)),
    "DATA_ID": DataObject.id,
    "DATA_NAME": DataObject.name,
    "DATA_SIZE": DataObject.size,
    "DATA_CHECKSUM": DataObject.checksum,
    "DATA_CREATE_TIME": DataObject.create_time,
    "DATA_MODIFY_TIME": DataObject.modify_time,
    "DATA_REPL_NUM": DataObject.replica_number,
    "DATA_REPL_STATUS": DataObject.replica_status,
    "DATA_RESC_HIER": DataObject.resc_hier,
    "META_DATA_ATTR_NAME": DataObjectMeta.name,
    "META_DATA_ATTR_VALUE": DataObjectMeta.value,
    "META_DATA_ATTR_UNITS": DataObjectMeta.units,
    "META_COLL_ATTR_NAME": CollectionMeta.name,
    "META_COLL_ATTR_VALUE": CollectionMeta.value,
    "META_COLL_ATTR_UNITS": CollectionMeta.units,
}


class Condition(msgspec.Struct, frozen=True):
    """A column compared with a text; `operator` is ``=``, ``>``, ``<>`` or ``like``."""

    column: str
    operator: str
    value: str


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Catalogue query, independent of the dialect; each row comes once.

    Parameters
    ----------
    where
        Conditions, all of which must hold.
    order
        Columns, first to last, all of them selected: a query for distinct rows takes no other.
    limit
        Most rows; None for all.
    zone
        The zone of the catalogue; empty for the account's.
    """

    select: tuple[str, ...]
    where: tuple[Condition, ...]
    zone: str
    order: tuple[str, ...] = ()
    limit: int | None = None


def run_query(session: ZoneSession, query: Query) -> list[Row]:
    """Return the rows of a query."""
    return run_queries(session, (query,))[0]


def run_queries(session: ZoneSession, queries: Sequence[Query | None]) -> list[list[Row]]:
    """Return the rows of each query, and none for None.

    GenQuery2 runs all at the same time, each on a connection of its own where the server lets an
    account have several.
    """
    results = iter(_run_queries(session, [query for query in queries if query is not None]))
    return [[] if query is None else next(results) for query in queries]


def _run_queries(session: ZoneSession, queries: Sequence[Query]) -> list[list[Row]]:
    # GenQuery2 does not support tickets, and a list without limit needs GenQuery1's continuation.
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
    """Run queries over several connections at the same time, or over those that are available."""
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(session.pool.get_connection())]
        for _ in queries[1:]:
            spare = session.pool.spare_connection()
            if spare is None:
                break
            conns.append(stack.enter_context(spare))
        replies: list[iRODSMessage] = []
        while len(replies) < len(queries):
            replies += _send_queries(conns, queries[len(replies) :], session.zone)
    return [_genquery2_rows(reply) for reply in replies]


def _send_queries(
    conns: Sequence[PooledConnection], queries: Sequence[Query], account_zone: str
) -> list[iRODSMessage]:
    """Send a query over each connection before the first reply is read, so that they overlap."""
    pairs = [*zip(conns, queries, strict=False)]
    for conn, query in pairs:
        conn.send(_genquery2_message(query, account_zone))
    replies, error = [], None
    for conn, _ in pairs:
        try:
            replies.append(conn.recv())
        except iRODSException as exc:
            # The other replies are read all the same, so that their connections can be used again.
            error = error or exc
    if error is not None:
        raise error
    return replies


def _genquery2_message(query: Query, account_zone: str) -> iRODSMessage:
    body = GenQuery2Request()
    body.query_string = genquery2_text(query)
    body.zone = query.zone or account_zone
    body.sql_only = body.column_mappings = 0
    return iRODSMessage("RODS_API_REQ", msg=body, int_info=api_number["GENQUERY2_AN"])


def _genquery2_rows(reply: iRODSMessage) -> list[Row]:
    rows = json.loads(reply.get_main_message(STR_PI).myStr)
    # Every cell is a string or null.
    return [tuple(row) if None not in row else tuple(cell or "" for cell in row) for row in rows]


def genquery2_text(query: Query) -> str:
    """Write a query in GenQuery2.

    Without ``distinct`` a row comes once for each entry of an access list, and for each member of
    its group.
    """
    where = " and ".join(
        f"{each.column} {each.operator} '{_genquery2_literal(each.value)}'" for each in query.where
    )
    text = f"select distinct {', '.join(query.select)} where {where}"
    if query.order:
        text += f" order by {', '.join(query.order)}"
    return f"{text} limit {query.limit}"


def _genquery2_literal(value: str) -> str:
    r"""Escape what GenQuery2 reads in a text: ``\xNN`` is a byte, and a quote ends it."""
    return value.replace("\\", r"\x5c").replace("'", "''")


def _by_genquery1(pinned: _PinnedConnection, query: Query) -> Iterator[Row]:
    # The client's limit is the size of a batch, and the server's maximum is 256 rows.
    genquery = GenQuery1(pinned, *(COLUMNS[name] for name in query.select))
    for name in query.order:
        genquery = genquery.order_by(COLUMNS[name])
    genquery = genquery.filter(*(_criterion(each) for each in query.where))
    if query.zone and query.zone != pinned.zone:
        genquery = genquery.add_keyword(kw.ZONE_KW, query.zone)
    if query.limit is not None:
        genquery = genquery.limit(query.limit)
    remaining = query.limit
    with contextlib.closing(genquery.get_batches()) as batches:
        for batch in batches:
            for row in _rows(batch.rows, query.select):
                if remaining is not None:
                    if remaining == 0:
                        return
                    remaining -= 1
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
    """Return a text for the middle of a LIKE pattern; the caller filters what it matches too much.

    Databases differ in whether and how a wildcard is escaped, so each becomes "any character".
    """
    return text.translate({ord("%"): "_", ord("\\"): "_"})


class _PinnedConnection:
    """Session for one query of the client, pinned to one connection.

    The client requests the next batch on whatever connection is free, but only the connection of
    the first batch has the query's state.
    """

    def __init__(self, conn: PooledConnection, session: ZoneSession) -> None:
        self.pool = self
        self.zone = session.zone
        self.server_version = session.server_version
        self._conn = conn

    def get_connection(self) -> contextlib.AbstractContextManager[PooledConnection]:
        return contextlib.nullcontext(self._conn)


OBJECT_COLUMNS = (
    "DATA_NAME",
    "DATA_SIZE",
    "DATA_CHECKSUM",
    "DATA_MODIFY_TIME",
    "DATA_ID",
    "DATA_REPL_STATUS",
    "DATA_CREATE_TIME",
)
COLLECTION_COLUMNS = ("COLL_NAME", "COLL_MODIFY_TIME", "COLL_ID", "COLL_TYPE", "COLL_CREATE_TIME")
"""The name comes first; the time of creation comes last, and can be left out."""

REPLICA_STATUS = {"0": "stale", "1": "good", "2": "intermediate", "3": "locked", "4": "locked"}


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A collection, or the newest good replica of a data object.

    Parameters
    ----------
    id
        The catalogue's own; it survives a rename.
    modified
        None where the catalogue is not asked.
    created
        None where it was not selected.
    special
        Whether it is a mounted or linked collection, or in one: the catalogue does not know what
        such a collection holds.
    """

    path: str
    kind: Kind
    id: str
    size: int = 0
    checksum: str = ""
    modified: datetime | None
    created: datetime | None
    special: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def stamp(self) -> str:
        """Changes whenever the content does."""
        seconds = int(self.modified.timestamp()) if self.modified else 0
        return f"{self.id}-{self.size}-{seconds}-{self.checksum}"

    @property
    def is_collection(self) -> bool:
        """Whether it is a collection."""
        return self.kind is Kind.COLLECTION

    def as_entry(self) -> Entry:
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

    def as_info(self) -> dict[str, Any]:
        """Return it as fsspec describes a file or directory."""
        return {
            "name": self.path,
            "size": self.size,
            "type": "directory" if self.is_collection else "file",
            "checksum": self.checksum or None,
            "created": self.created,
            "modified": self.modified,
            "id": self.id,
        }


def collections_from_rows(rows: Iterable[Row]) -> list[CatalogueEntry]:
    """Parse rows of `COLLECTION_COLUMNS`; a collection that comes more than once is one."""
    return [*{row[0]: _collection_from_row(row) for row in rows}.values()]


def _collection_from_row(row: Row) -> CatalogueEntry:
    path, modified, number, kind, *created = row
    return CatalogueEntry(
        path=path,
        kind=Kind.COLLECTION,
        id=number,
        modified=timestamp(modified),
        created=timestamp(created[0]) if created else None,
        special=bool(kind),
    )


def data_objects_from_rows(rows: Iterable[Row], parent: str) -> Iterator[CatalogueEntry]:
    """Parse rows of `OBJECT_COLUMNS`, those of one object after each other."""
    for name, replicas in groupby(rows, key=lambda row: row[0]):
        yield data_object_from_rows(list(replicas), f"{parent.rstrip('/')}/{name}")


def data_object_from_rows(replicas: list[Row], path: str) -> CatalogueEntry:
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


def replicas_from_rows(rows: Iterable[Row]) -> tuple[Replica, ...]:
    """Parse rows of `REPLICA_COLUMNS`, in the order of the replicas' numbers.

    GenQuery2 has a row for every end of a path in a resource tree: ``repl;disk`` and ``disk``.
    """
    whole: dict[int, Row] = {}
    for row in rows:
        number = int(row[0])
        if number not in whole or len(row[1]) > len(whole[number][1]):
            whole[number] = row
    return tuple(_replica_from_row(whole[number]) for number in sorted(whole))


def _replica_from_row(row: Row) -> Replica:
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
    """Parse a time of the catalogue, seconds since 1970 with leading zeros."""
    return datetime.fromtimestamp(int(text or 0), UTC)
