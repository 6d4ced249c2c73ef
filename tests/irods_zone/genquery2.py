"""The new query language: SQL over named columns, one answer in JSON."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.collation import sort_key
from tests.irods_zone.columns import BY_NAME, NUMBERS, join_accesses, ordered
from tests.irods_zone.permissions import Identity

DEFAULT_ROWS = 256
FUNCTIONS = ("upper", "lower", "length")
AGGREGATES = ("count", "min", "max", "sum", "avg")
EQUALITIES = ("=", "!=", "<>")
COMPARISONS = ("<", "<=", ">", ">=")
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign><>|!=|<=|>=|[=<>(),*]))"
)
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")


@dataclass(kw_only=True)
class Parser:
    """Reads a query from left to right and writes the SQL of the catalogue."""

    tokens: list[str]
    position: int = 0
    expressions: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    unknown: str = ""
    aggregates: bool = False

    def take(self, *wanted: str) -> str:
        """Take the next token if it is one of these words or signs; else give nothing."""
        token = self.peek()
        if token.lower() not in wanted:
            return ""
        self.position += 1
        return token.lower()

    def require(self, wanted: str) -> None:
        """Take a word or sign that must be there."""
        if not self.take(wanted):
            raise _unreadable(f"'{wanted}' is missing before '{self.peek()}'")

    def peek(self) -> str:
        """Look at the next token; past the end it is empty."""
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def next(self) -> str:
        """Take the next token, whatever it is."""
        token = self.peek()
        self.position += 1
        if not token:
            raise _unreadable("it ends too early")
        return token

    def column(self) -> str:
        """Read a column, or a function of one."""
        name = self.next()
        if self.take("("):
            return self._function(name.lower())
        if name not in BY_NAME:
            if not name.isidentifier():
                raise _unreadable(f"no column is called '{name}'")
            # A query that can't be read at all is told first.
            self.unknown = self.unknown or name
            return "NULL"
        self.expressions.append(BY_NAME[name])
        return BY_NAME[name]

    def _function(self, name: str) -> str:
        if name == "cast":
            inner = self.column()
            self.require("as")
            written = f"cast({inner} AS {'INTEGER' if 'int' in self.next().lower() else 'TEXT'})"
        elif name in AGGREGATES:
            self.aggregates = True
            written = f"{name}({'DISTINCT ' if self.take('distinct') else ''}{self.column()})"
        elif name in FUNCTIONS:
            written = f"{name}({self.column()})"
        else:
            raise _unreadable(f"no function is called '{name}'")
        self.require(")")
        return written

    def list_of(self, read: Callable[[], str]) -> list[str]:
        """Read several things with commas between."""
        found = [read()]
        while self.take(","):
            found.append(read())
        return found

    def condition(self) -> str:
        """Read conditions joined by `or`."""
        written = [self._all_of()]
        while self.take("or"):
            written.append(self._all_of())
        return f"({' OR '.join(written)})"

    def term(self) -> tuple[str, str]:
        """Read a column to order by, and the direction."""
        return self.column(), " DESC" if self.take("asc", "desc") == "desc" else ""

    def _all_of(self) -> str:
        written = [self._one()]
        while self.take("and"):
            written.append(self._one())
        return " AND ".join(written)

    def _one(self) -> str:
        if self.take("not"):
            return f"NOT {self._one()}"
        if self.take("("):
            inside = self.condition()
            self.require(")")
            return inside
        column = self.column()
        if self.take("is"):
            negated = " NOT" if self.take("not") else ""
            self.require("null")
            return f"{column} IS{negated} NULL"
        return self._test(column)

    def _test(self, column: str) -> str:
        negated = "NOT " if self.take("not") else ""
        if self.take("like"):
            return f"{column} {negated}LIKE {self._literal()} ESCAPE '\\'"
        if self.take("in"):
            self.require("(")
            inside = ", ".join(self.list_of(self._literal))
            self.require(")")
            return f"{column} {negated}IN ({inside})"
        number = column.rpartition(".")[2] in NUMBERS
        if self.take("between"):
            low = self._literal(key=not number)
            self.require("and")
            high = self._literal(key=not number)
            return f"{ordered(column)} {negated}BETWEEN {low} AND {high}"
        if negated:
            raise _unreadable(f"'not' stands before '{self.peek()}'")
        if sign := self.take(*EQUALITIES):
            return f"{column} {sign} {self._literal()}"
        if sign := self.take(*COMPARISONS):
            return f"{ordered(column)} {sign} {self._literal(key=not number)}"
        raise _unreadable(f"no comparison is called '{self.peek()}'")

    def _literal(self, *, key: bool = False) -> str:
        token = self.next()
        if not token.startswith("'"):
            raise _unreadable(f"a text in quotes is missing before '{token}'")
        text = _unescaped(token[1:-1].replace("''", "'"))
        self.values.append(sort_key(text) if key else text)
        return "?"


def answer(reader: Callable[[str, list[object]], sqlite3.Cursor], who: Identity, query: str) -> str:
    """Run a query and give its rows as JSON: lists of texts."""
    sql, values = translate(query, who)
    rows = reader(sql, values).fetchall()
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    return json.dumps(texts, separators=(",", ":"), ensure_ascii=False)


def translate(query: str, who: Identity) -> tuple[str, list[object]]:
    """Write the SQL of a query and the values it is bound to."""
    parser = Parser(tokens=_tokens(query))
    parser.require("select")
    distinct = bool(parser.take("distinct"))
    selected = parser.list_of(parser.column)
    where = [parser.condition()] if parser.take("where") else []
    tail = _tail(parser, selected, distinct=distinct)
    if parser.peek():
        raise _unreadable(f"nothing is known to do with '{parser.peek()}'")
    if parser.unknown:
        raise CallError(Status.INVALID_INPUT)
    joined = join_accesses(parser.expressions, who, once=distinct and not parser.aggregates)
    conditions = [*where, *joined.conditions]
    sql = f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(selected)} FROM {joined.tables}"
    if conditions:
        sql += f" WHERE {' AND '.join(conditions)}"
    return sql + tail, [*parser.values, *joined.values]


def _tail(parser: Parser, selected: list[str], *, distinct: bool) -> str:
    written, terms = "", []
    if parser.take("group"):
        parser.require("by")
        written += f" GROUP BY {', '.join(parser.list_of(parser.column))}"
    if parser.take("order"):
        parser.require("by")
        terms.append(parser.term())
        while parser.take(","):
            terms.append(parser.term())
        unknown = [column for column, _ in terms if column not in selected]
        if distinct and unknown:
            # PostgreSQL refuses it, so a client must not count on it.
            raise _unreadable("with distinct, what is ordered by must be selected")
    elif distinct and not parser.aggregates:
        # PostgreSQL sorts to find what is there twice.
        terms = [(column, "") for column in selected]
    if terms:
        written += f" ORDER BY {', '.join(ordered(column) + way for column, way in terms)}"
    return written + _limits(parser)


def _limits(parser: Parser) -> str:
    most, offset = DEFAULT_ROWS, 0
    while word := parser.take("limit", "offset", "fetch"):
        if word == "fetch":
            parser.require("first")
        count = parser.next()
        if not count.isdigit():
            raise _unreadable(f"'{count}' is no number of rows")
        if word == "offset":
            offset = int(count)
        else:
            most = int(count)
        if word == "fetch":
            parser.take("row", "rows")
            parser.require("only")
    return f" LIMIT {most} OFFSET {offset}"


def _unescaped(text: str) -> str:
    """Give a text in which `\\xNN` stands for a byte; other backslashes are themselves."""
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.encode())
    return raw.decode(errors="replace")


def _tokens(query: str) -> list[str]:
    tokens, position, text = [], 0, query.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _unreadable(f"it is not understood from '{text[position:][:20]}' on")
        tokens.append(found[0].strip() if not found["text"] else found["text"])
        position = found.end()
    return tokens


def _unreadable(why: str) -> CallError:
    # The server tells no client why; this is for who looks at the double.
    logging.getLogger(__name__).debug("GenQuery2: %s", why)
    return CallError(Status.LIBRARY_ERROR)
