"""Tickets of a zone: strings that let who has one read, or write, an object or a collection."""

from __future__ import annotations

import contextlib
import errno
import secrets
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from irods.column import Criterion
from irods.models import TicketQuery
from irods.ticket import Ticket as ClientTicket

from nds_jupyter.data.entries import Ticket
from nds_jupyter.data.irods.sessions import SessionHolder, ZoneSession

_CHARACTERS = string.ascii_letters + string.digits
_LENGTH = 24
"""Characters of a ticket: nobody guesses one."""


class TicketOperations:
    """Operations on the tickets that the account has made."""

    def __init__(self, session_holder: SessionHolder) -> None:
        self._session_holder = session_holder

    def create(
        self, path: str, *, write: bool, expires: datetime | None, uses: int | None
    ) -> Ticket:
        """Make a ticket for an object or collection of the account; see `Ticket`."""
        name = "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))
        limits = _limits(write=write, expires=expires, uses=uses)

        def create(session: ZoneSession) -> None:
            ticket = ClientTicket(session, name)
            ticket.issue("write" if write else "read", path)
            try:
                for limit, value in limits.items():
                    ticket.modify(limit, value)
            except BaseException:
                # It would be good for ever.
                with contextlib.suppress(Exception):
                    ticket.delete()
                raise

        self._session_holder.call(create, path, repeatable=False)
        return Ticket(ticket=name, path=path, write=write, expires=expires, uses_limit=uses)

    def list_all(self) -> list[Ticket]:
        """Return the account's own tickets, in the order of their paths."""
        home = self._session_holder.account.home
        found = self._session_holder.call(lambda session: list(_query(session)), home)
        return sorted(found, key=lambda each: (each.path, each.ticket))

    def remove(self, name: str) -> None:
        """Remove one of the account's tickets; FileNotFoundError where there is none."""
        if name not in {each.ticket for each in self.list_all()}:
            raise FileNotFoundError(errno.ENOENT, "There is no such ticket of yours")
        self._session_holder.call(
            lambda session: ClientTicket(session, name).delete(), "the ticket", repeatable=False
        )


def _limits(*, write: bool, expires: datetime | None, uses: int | None) -> dict[str, str]:
    limits = {}
    if expires is not None:
        limits["expire"] = str(int(expires.timestamp()))
    if write:
        # Without a number iRODS would end it after ten objects; 0 stands for no limit.
        limits["write-file"] = str(uses or 0)
    elif uses is not None:
        limits["uses"] = str(uses)
    return limits


def _query(session: ZoneSession) -> Iterator[Ticket]:
    ticket, data, collection = TicketQuery.Ticket, TicketQuery.DataObject, TicketQuery.Collection
    columns = (
        ticket.string,
        ticket.type,
        ticket.expiry_ts,
        ticket.uses_limit,
        ticket.uses_count,
        ticket.write_file_limit,
        ticket.write_file_count,
    )
    # One query for both would join each object to no collection, and give nothing.
    of_kinds: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("data", (data.coll, data.name)),
        ("collection", (collection.name,)),
    )
    for kind, path in of_kinds:
        query = session.query(*columns, *path).filter(
            Criterion("=", TicketQuery.Owner.name, session.username),
            Criterion("=", ticket.object_type, kind),
        )
        for row in query.get_results():
            write = row[ticket.type] == "write"
            limit = ticket.write_file_limit if write else ticket.uses_limit
            count = ticket.write_file_count if write else ticket.uses_count
            yield Ticket(
                ticket=row[ticket.string],
                path="/".join(row[each] for each in path),
                write=write,
                expires=_time(row[ticket.expiry_ts]),
                uses_limit=row[limit] or None,
                uses=row[count] or 0,
            )


def _time(text: str | None) -> datetime | None:
    seconds = int(text or 0)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
