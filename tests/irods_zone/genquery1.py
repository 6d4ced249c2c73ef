"""The old query language: numbered columns with a condition each, in pages."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from tests.irods_zone.catalogue import Catalogue
from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.collation import sort_key
from tests.irods_zone.columns import BY_NUMBER, NUMBERS, join, ordered
from tests.irods_zone.packing import escape, number, texts
from tests.irods_zone.permissions import Identity
from tests.irods_zone.unaskable_names import is_unaskable

MOST_STATEMENTS = 50
MOST_COLUMNS = 50
MOST_ROWS = 500
SMALLEST_VALUE = 50
LONGEST_VALUE = 2700
TOTAL_COUNT, NO_DISTINCT, AUTO_CLOSE, UPPER_CASE = 0x20, 0x40, 0x100, 0x200
ORDER_BY, ORDER_BY_DESC = 0x400, 0x800
FUNCTIONS = {2: "min", 3: "max", 4: "sum", 5: "avg", 6: "count"}

# Conditions on metadata may be repeated, each time for one more attribute.
METADATA = {"MD": "D", "MC": "C", "MR": "R", "MU": "U"}

_EMPTY = "<SqlResult_PI>\n<attriInx>0</attriInx>\n<reslen>0</reslen>\n</SqlResult_PI>\n"
_OPERATOR = re.compile(
    r"\s*(=|<>|!=|<=|>=|<|>|not like|like|in|between|begin_of|parent_of)\s*(.*)\Z", re.I | re.S
)
_COMPOUND = re.compile(r"'\s*(\|\||&&)\s*(?=(?:=|<>|!=|<|>|not like|like|in|between)\s)", re.I)


@dataclass(kw_only=True)
class Statement:
    """A query that is open for further pages."""

    rows: sqlite3.Cursor | Generator[sqlite3.Row]
    columns: tuple[int, ...]
    total: int = 0


@dataclass(kw_only=True)
class Statements:
    """The open queries of a connection."""

    catalogue: Catalogue
    reader: sqlite3.Connection | None = None
    open: dict[int, Statement] = field(default_factory=dict)

    def add(self, statement: Statement) -> int:
        """Keep a query open; a connection has room for a few only."""
        for index in range(1, MOST_STATEMENTS + 1):
            if index not in self.open:
                self.open[index] = statement
                return index
        statement.rows.close()
        raise CallError(Status.TOO_MANY_STATEMENTS)

    def run(self, sql: str, values: list[object]) -> sqlite3.Cursor:
        """Run a query on a connection of its own, so that its pages see one state."""
        if self.reader is None:
            self.reader = self.catalogue.reader()
        try:
            return self.reader.execute(sql, values)
        except sqlite3.Error as error:
            raise CallError(Status.SQL_ERROR, str(error)) from error

    def run_here(self, sql: str, values: list[object]) -> sqlite3.Cursor | Generator[sqlite3.Row]:
        """Run a query where the changes are seen that this connection has left open."""
        if not self.catalogue.transactions.is_open():
            return self.run(sql, values)
        with self.catalogue.change() as db:
            found = db.execute(sql, values).fetchall()
        return (row for row in found)

    def close(self) -> None:
        """Close everything."""
        self.open.clear()
        if self.reader is not None:
            self.reader.close()


def answer(statements: Statements, who: Identity, body: Element) -> tuple[int, str]:
    """Give a page of a query: its status and its body."""
    index, most = number(body, "continueInx"), number(body, "maxRows")
    if index:
        if index not in statements.open:
            raise CallError(Status.INVALID_ARGUMENT)
        statement = statements.open[index]
    elif most > 0:
        statement = _begin(statements, who, body)
        index = statements.add(statement)
    if most <= 0:
        _end(statements, index)
        return Status.OK, NO_ANSWER
    rows = list(itertools.islice(statement.rows, min(most, MOST_ROWS)))
    is_last = len(rows) < min(most, MOST_ROWS) or bool(number(body, "options") & AUTO_CLOSE)
    if is_last:
        _end(statements, index)
    if not rows:
        return Status.NO_ROWS, NO_ANSWER
    return Status.OK, pack_rows(rows, statement.columns, 0 if is_last else index, statement.total)


def _end(statements: Statements, index: int) -> None:
    statement = statements.open.pop(index, None)
    if statement is not None:
        statement.rows.close()


def _begin(statements: Statements, who: Identity, body: Element) -> Statement:
    selected, conditions = body.find("InxIvalPair_PI"), body.find("InxValPair_PI")
    if selected is None or conditions is None:
        raise CallError(Status.INVALID_ARGUMENT)
    columns = [int(each) for each in texts(selected, "inx")]
    how = [int(each) for each in texts(selected, "ivalue")]
    filters = [int(each) for each in texts(conditions, "inx")]
    options = number(body, "options")
    try:
        joined = join([BY_NUMBER[each] for each in (*columns, *filters)], who)
    except KeyError as error:
        raise CallError(Status.INVALID_ARGUMENT, f"no column has the number {error}") from error
    values = list(joined.values)
    where = list(joined.conditions)
    upper = bool(options & UPPER_CASE)
    repeated: dict[tuple[str, int], list[tuple[str, str]]] = {}
    seen: Counter[int] = Counter()
    for column, condition in zip(filters, texts(conditions, "svalue"), strict=True):
        expression = f"upper({BY_NUMBER[column]})" if upper else BY_NUMBER[column]
        alias = BY_NUMBER[column].partition(".")[0]
        if alias in METADATA and seen[column]:
            repeated.setdefault((alias, seen[column]), []).append((expression, condition))
        else:
            where.append(_condition(expression, condition, values))
        seen[column] += 1
    for (alias, _), pairs in repeated.items():
        where.append(_also(alias, pairs, values))
    sql = _select(columns, how, distinct=not options & NO_DISTINCT)
    sql += f" FROM {joined.tables}" + (f" WHERE {' AND '.join(where)}" if where else "")
    sql += _group(columns, how)
    total = 0
    if options & TOTAL_COUNT:
        total = next(iter(statements.run_here(f"SELECT count(*) FROM ({sql})", values)))[0]
    sql += _order(columns, how, distinct=not options & NO_DISTINCT)
    sql += f" LIMIT -1 OFFSET {number(body, 'partialStartIndex')}"
    rows = statements.run_here(sql, values)
    return Statement(rows=rows, columns=tuple(columns), total=total)


def _also(alias: str, pairs: list[tuple[str, str]], values: list[object]) -> str:
    """Write the condition that an object has one more attribute besides the one selected."""
    found = " AND ".join(_condition(expression, each, values) for expression, each in pairs)
    return (
        f"EXISTS (SELECT 1 FROM avu_of O JOIN avus {alias} ON {alias}.id = O.avu_id"
        f" WHERE O.object_id = {METADATA[alias]}.id AND {found})"
    )


def _select(columns: list[int], how: list[int], *, distinct: bool) -> str:
    written = [
        f"{FUNCTIONS[each & 0xF]}({BY_NUMBER[column]})"
        if each & 0xF in FUNCTIONS
        else BY_NUMBER[column]
        for column, each in zip(columns, how, strict=True)
    ]
    return f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(written)}"


def _group(columns: list[int], how: list[int]) -> str:
    plain = [
        BY_NUMBER[column]
        for column, each in zip(columns, how, strict=True)
        if each & 0xF not in FUNCTIONS
    ]
    if len(plain) in (0, len(columns)):
        return ""
    return f" GROUP BY {', '.join(plain)}"


def _order(columns: list[int], how: list[int], *, distinct: bool) -> str:
    asked = list(zip(columns, how, strict=True))
    terms = [
        ordered(BY_NUMBER[column]) + (" DESC" if each & ORDER_BY_DESC else "")
        for column, each in asked
        if each & (ORDER_BY | ORDER_BY_DESC)
    ]
    if not terms and distinct and not any(each & 0xF in FUNCTIONS for _, each in asked):
        # PostgreSQL sorts to find what is there twice: by names, as the recordings show.
        chosen = [BY_NUMBER[column] for column in columns]
        names = [each for each in chosen if each in ("C.name", "D.name")]
        terms = [ordered(each) for each in names or chosen]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def _condition(expression: str, condition: str, values: list[object]) -> str:
    parts = _COMPOUND.split(condition)
    if any(is_unaskable(each) for each in parts[::2]):
        raise CallError(Status.SQL_ERROR)
    written = _comparison(expression, parts[0] + ("'" if len(parts) > 1 else ""), values)
    for position in range(1, len(parts), 2):
        last = position + 2 >= len(parts)
        piece = parts[position + 1] + ("" if last else "'")
        joint = "OR" if parts[position] == "||" else "AND"
        written += f" {joint} {_comparison(expression, piece, values)}"
    return f"({written})"


def _comparison(expression: str, condition: str, values: list[object]) -> str:
    found = _OPERATOR.match(condition)
    if found is None:
        raise CallError(Status.INVALID_ARGUMENT, f"no condition reads '{condition}'")
    operator, rest = found[1].lower(), found[2].strip()
    if operator in ("in", "between"):
        several = re.findall(r"'((?:[^']|'(?!\s*[,)' ]|\Z))*)'", rest)
        if operator == "between":
            values.extend(_key(expression, each) for each in several)
            return f"{ordered(expression)} BETWEEN ? AND ?"
        values.extend(several)
        return f"{expression} IN ({', '.join('?' * len(several))})"
    # The server takes what is between the outer quotes as it is.
    value = rest[1:-1] if rest[:1] == "'" and rest[-1:] == "'" else rest
    if operator in ("<", "<=", ">", ">="):
        values.append(_key(expression, value))
        return f"{ordered(expression)} {operator} ?"
    values.append(value)
    if operator == "begin_of":
        return f"? LIKE {expression} || '%'"
    if operator == "parent_of":
        return f"? LIKE {expression} || '/%'"
    if operator.endswith("like"):
        return f"{expression} {operator.upper()} ? ESCAPE '\\'"
    return f"{expression} {operator} ?"


def _key(expression: str, value: str) -> object:
    return value if expression.rpartition(".")[2] in NUMBERS else sort_key(value)


def pack_rows(
    rows: Sequence[Sequence[object]], columns: tuple[int, ...], index: int, total: int
) -> str:
    """Write rows as the answer to a query."""
    parts = [
        f"<GenQueryOut_PI>\n<rowCnt>{len(rows)}</rowCnt>\n<attriCnt>{len(columns)}</attriCnt>\n"
        f"<continueInx>{index}</continueInx>\n<totalRowCount>{total}</totalRowCount>\n"
    ]
    for position, column in enumerate(columns):
        texts_ = ["" if row[position] is None else str(row[position]) for row in rows]
        width = max(SMALLEST_VALUE, *(len(each.encode()) + 1 for each in texts_))
        if width > LONGEST_VALUE + 1:
            raise CallError(Status.ROW_TOO_LONG)
        written = "".join(f"<value>{escape(each)}</value>\n" for each in texts_)
        parts.append(
            f"<SqlResult_PI>\n<attriInx>{column}</attriInx>\n<reslen>{width}</reslen>\n"
            f"{written}</SqlResult_PI>\n"
        )
    parts.append(_EMPTY * (MOST_COLUMNS - len(columns)))
    parts.append("</GenQueryOut_PI>\n")
    return "".join(parts)


NO_ANSWER = pack_rows([], (), 0, 0)
