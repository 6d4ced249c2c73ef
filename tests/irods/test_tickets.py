"""Tickets: what they let others do, and how long."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.fixtures import AnyZone

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

OpenAs = Callable[..., IrodsFileSystem]


@pytest.fixture
def open_as(irods_zone: AnyZone) -> OpenAs:
    def open_as(*user: str, ticket: str | None = None) -> IrodsFileSystem:
        settings = {
            name: value
            for name, value in irods_zone.environment(*user).items()
            if name.startswith("irods_")
        }
        password = irods_zone.password(*user)
        return IrodsFileSystem(
            **settings, password=password, ticket=ticket, skip_instance_cache=True
        )

    return open_as


def test_ticket_for_an_object_is_listed_and_removed(open_as: OpenAs, irods_home: str) -> None:
    fs = open_as()
    path = f"{irods_home}/it's ü"
    fs.pipe_file(path, b"1")
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    made = fs.create_ticket(path, expires=expires, uses=5)
    assert (made.path, made.write, made.uses_limit) == (path, False, 5)
    assert [each for each in fs.tickets() if each.path == path] == [made]
    assert made.ticket not in repr(made)
    fs.remove_ticket(made.ticket)
    assert not [each for each in fs.tickets() if each.path == path]
    with pytest.raises(FileNotFoundError):
        fs.remove_ticket(made.ticket)


def test_ticket_for_a_collection_lets_others_read_what_is_in_it(
    open_as: OpenAs, irods_home: str
) -> None:
    fs = open_as()
    fs.pipe_file(f"{irods_home}/deep/x", b"1")
    made = fs.create_ticket(irods_home)
    assert [each.expires for each in fs.tickets() if each.path == irods_home] == [None]
    guest = open_as("nds-alice", ticket=made.ticket)
    assert guest.cat_file(f"{irods_home}/deep/x") == b"1"
    assert [each.rpartition("/")[2] for each in guest.ls(irods_home, detail=False)] == ["deep"]
    with pytest.raises(PermissionError):
        guest.pipe_file(f"{irods_home}/deep/y", b"1")
    assert fs.tickets()
    fs.remove_ticket(made.ticket)
    guest.close()
    gc.collect()


def test_ticket_to_write_has_no_limit_of_ten(open_as: OpenAs, irods_home: str) -> None:
    fs = open_as()
    path = f"{irods_home}/x"
    fs.pipe_file(path, b"1")
    made = fs.create_ticket(path, write=True)
    assert made.write
    found = next(each for each in fs.tickets() if each.path == path)
    assert (found.write, found.uses_limit) == (True, None)
    limited = fs.create_ticket(path, write=True, uses=3)
    assert {each.uses_limit for each in fs.tickets() if each.path == path} == {None, 3}
    for each in (made, limited):
        fs.remove_ticket(each.ticket)


def test_what_is_not_there_or_not_ones_own_is_not_shared(open_as: OpenAs, irods_home: str) -> None:
    fs, other = open_as(), open_as("nds-alice")
    fs.pipe_file(f"{irods_home}/x", b"1")
    before = len(fs.tickets())
    for each, path in ((fs, f"{irods_home}/nothing"), (other, f"{irods_home}/x")):
        with pytest.raises(FileNotFoundError):
            each.create_ticket(path)
    made = fs.create_ticket(f"{irods_home}/x")
    with pytest.raises(FileNotFoundError):
        other.remove_ticket(made.ticket)
    fs.remove_ticket(made.ticket)
    assert len(fs.tickets()) == before
