"""What a ticket refuses, and how that is told: one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from irods.access import iRODSAccess
from irods.ticket import Ticket

from nds_jupyter.data.irods import AuthenticationFailed, IrodsFileSystem
from tests.irods.conftest import Connect
from tests.irods_zone.fixtures import AnyZone

IssueTicket = Callable[..., IrodsFileSystem]


@pytest.fixture
def with_ticket(
    fs: IrodsFileSystem, irods_zone: AnyZone, connect: Connect, irods_home: str
) -> Iterator[IssueTicket]:
    """Connect as another user, with a new ticket for the object `x`, or for another path."""
    fs.pipe_file(f"{irods_home}/x", b"old")
    with irods_zone.session() as session:
        # What is written by a ticket is its user's, and is to be removed by the owner.
        session.acls.set(iRODSAccess("inherit", irods_home))
        issued: list[Ticket] = []

        def issue(
            *limits: tuple[Any, ...], kind: str = "read", path: str = "/x"
        ) -> IrodsFileSystem:
            ticket = Ticket(session)
            ticket.issue(kind, f"{irods_home}{path}")
            issued.append(ticket)
            for limit in limits:
                ticket.modify(*limit)
            return connect("alice", ticket=ticket.string)

        yield issue
        for ticket in issued:
            ticket.delete()


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("expire", "2020-01-01.00:00:00"), "the ticket has expired"),
        (("add", "user", "rods"), "the ticket is for other users"),
        (("add", "host", "192.0.2.1"), "the ticket is for other hosts"),
    ],
    ids=["expired", "user", "host"],
)
def test_a_ticket_that_does_not_let_in_says_why(
    with_ticket: IssueTicket, irods_home: str, limit: tuple[Any, ...], said: str
) -> None:
    fs = with_ticket(limit)
    for ask in (fs.cat_file, fs.open):
        with pytest.raises(AuthenticationFailed, match=f"{irods_home}/x: {said}"):
            ask(f"{irods_home}/x")


def test_a_use_of_a_ticket_is_a_connection(with_ticket: IssueTicket, irods_home: str) -> None:
    fs = with_ticket(("uses", 2))
    for _ in range(5):
        assert fs.cat_file(f"{irods_home}/x") == b"old"
    fs.close()
    assert fs.cat_file(f"{irods_home}/x") == b"old"
    fs.close()
    with pytest.raises(AuthenticationFailed, match="the ticket is used up, each connection"):
        fs.cat_file(f"{irods_home}/x")


def test_a_ticket_for_reading_does_not_write(with_ticket: IssueTicket, irods_home: str) -> None:
    fs = with_ticket()
    for change in (lambda path: fs.pipe_file(path, b"new"), fs.rm):
        with pytest.raises(PermissionError, match="the ticket does not allow that"):
            change(f"{irods_home}/x")
    assert fs.cat_file(f"{irods_home}/x") == b"old"


def test_a_ticket_for_something_else_opens_nothing(
    with_ticket: IssueTicket, irods_home: str
) -> None:
    fs = with_ticket()
    for ask in (fs.cat_file, fs.info, fs.metadata):
        with pytest.raises(FileNotFoundError, match="the ticket does not open it"):
            ask(f"{irods_home}/y")


@pytest.mark.parametrize(
    ("limit", "said"),
    [(("write-file", 2), "no more files"), (("write-bytes", 8), "no more bytes")],
    ids=["files", "bytes"],
)
def test_what_a_ticket_lets_write_is_limited(
    with_ticket: IssueTicket, irods_home: str, limit: tuple[Any, ...], said: str
) -> None:
    fs = with_ticket(limit, kind="write", path="")

    def write() -> None:
        for number in range(6):
            fs.pipe_file(f"{irods_home}/{number}", b"12345")

    with pytest.raises(AuthenticationFailed, match=f"the ticket lets {said} be written"):
        write()
