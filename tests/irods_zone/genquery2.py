"""The new query language: SQL over named columns, one answer in JSON."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.irods_zone.codes import CallError, Status
from tests.irods_zone.columns import BY_NAME, join
from tests.irods_zone.permissions import Identity

DEFAULT_ROWS = 256
FUNCTIONS = ("count", "min", "max", "sum", "avg", "upper", "lower", "length")
COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign><>|!=|<=|>=|[=<>(),*]))"
)


@dataclass(kw_only=True)
class Parser:
    """Reads a query from left to right and writes the SQL of the catalogue."""

    tokens: list[str]
    position: int = 0
    expressions: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

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
        if name.lower() in FUNCTIONS and self.take("("):
            inner = self.column()
            self.require(")")
            return f"{name.lower()}({inner})"
        if name.upper() not in BY_NAME:
            raise _unreadable(f"no column is called '{name}'")
        self.expressions.append(BY_NAME[name.upper()])
        return BY_NAME[name.upper()]

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

    def ordered(self) -> str:
        """Read a column to order by."""
        return self.column() + (" DESC" if self.take("asc", "desc") == "desc" else "")

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
            # The catalogue keeps an empty text where the server's keeps nothing.
            return f"nullif({column}, '') IS{negated} NULL"
        return f"{column} {self._test()}"

    def _test(self) -> str:
        negated = "NOT " if self.take("not") else ""
        if self.take("like"):
            return f"{negated}LIKE {self._literal()} ESCAPE '\\'"
        if self.take("in"):
            self.require("(")
            inside = ", ".join(self.list_of(self._literal))
            self.require(")")
            return f"{negated}IN ({inside})"
        if self.take("between"):
            low = self._literal()
            self.require("and")
            return f"{negated}BETWEEN {low} AND {self._literal()}"
        sign = self.take(*COMPARISONS)
        if negated or not sign:
            raise _unreadable(f"no comparison is called '{self.peek()}'")
        return f"{sign} {self._literal()}"

    def _literal(self) -> str:
        token = self.next()
        if not token.startswith("'"):
            raise _unreadable(f"a text in quotes is missing before '{token}'")
        self.values.append(token[1:-1].replace("''", "'"))
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
    distinct = not (parser.take("no") and parser.take("distinct"))
    if distinct:
        parser.take("distinct")
    selected = parser.list_of(parser.column)
    where = [parser.condition()] if parser.take("where") else []
    tail = _tail(parser, selected, distinct=distinct)
    if parser.peek():
        raise _unreadable(f"nothing is known to do with '{parser.peek()}'")
    joined = join(parser.expressions, who)
    conditions = [*where, *joined.conditions]
    sql = f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(selected)} FROM {joined.tables}"
    if conditions:
        sql += f" WHERE {' AND '.join(conditions)}"
    return sql + tail, [*parser.values, *joined.values]


def _tail(parser: Parser, selected: list[str], *, distinct: bool) -> str:
    written = ""
    if parser.take("group"):
        parser.require("by")
        written += f" GROUP BY {', '.join(parser.list_of(parser.column))}"
    if parser.take("order"):
        parser.require("by")
        ordered = parser.list_of(parser.ordered)
        unknown = [each for each in ordered if each.removesuffix(" DESC") not in selected]
        if distinct and unknown:
            # PostgreSQL refuses it, so a client must not count on it.
            raise _unreadable("with distinct, what is ordered by must be selected")
        written += f" ORDER BY {', '.join(ordered)}"
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
    return CallError(Status.LIBRARY_ERROR, f"GenQuery2: {why}")
