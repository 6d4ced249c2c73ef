"""Permissions in a zone: access levels, groups, inheritance and tickets."""

from __future__ import annotations

import time

import pytest
from irods import exception
from irods.access import iRODSAccess
from irods.models import Collection, DataObject
from irods.session import iRODSSession
from irods.ticket import Ticket

from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


def write(session: iRODSSession, path: str, content: bytes = b"content") -> None:
    with session.data_objects.open(path, "w") as opened:
        opened.write(content)


def read(session: iRODSSession, path: str) -> bytes:
    with session.data_objects.open(path, "r") as opened:
        return bytes(opened.read())


def grant(session: iRODSSession, level: str, path: str, user: str = "alice") -> None:
    session.acls.set(iRODSAccess(level, path, user, session.zone))


def test_readable_object_in_an_unreadable_collection_does_not_exist(
    irods_zone: AnyZone, irods_home: str
) -> None:
    with irods_zone.session() as own, irods_zone.session("alice") as other:
        write(own, f"{irods_home}/x")
        other.collections.exists(irods_zone.home("alice"))
        grant(own, "read", f"{irods_home}/x")
        with pytest.raises(exception.OBJ_PATH_DOES_NOT_EXIST):
            read(other, f"{irods_home}/x")
        grant(own, "read", irods_home)
        assert read(other, f"{irods_home}/x") == b"content"


def test_reader_neither_writes_nor_removes_nor_renames(
    irods_zone: AnyZone, irods_home: str
) -> None:
    with irods_zone.session() as own, irods_zone.session("alice") as other:
        write(own, f"{irods_home}/x")
        other.collections.exists(irods_zone.home("alice"))
        grant(own, "read", irods_home)
        grant(own, "read", f"{irods_home}/x")
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            write(other, f"{irods_home}/x")
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            other.data_objects.unlink(f"{irods_home}/x", force=True)
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            other.data_objects.move(f"{irods_home}/x", f"{irods_home}/y")
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            other.collections.create(f"{irods_home}/c")
        assert read(own, f"{irods_home}/x") == b"content"


def test_new_objects_inherit_what_their_collection_passes_on(
    irods_zone: AnyZone, irods_home: str
) -> None:
    with irods_zone.session() as own, irods_zone.session("alice") as other:
        other.collections.exists(irods_zone.home("alice"))
        grant(own, "read", irods_home)
        grant(own, "inherit", irods_home, "")
        own.collections.create(f"{irods_home}/c")
        write(own, f"{irods_home}/c/x")
        assert own.collections.get(f"{irods_home}/c").inheritance
        assert read(other, f"{irods_home}/c/x") == b"content"


def test_members_of_a_group_may_what_the_group_may(faulty_zone: Zone) -> None:
    home = faulty_zone.home()
    faulty_zone.home("alice")
    with faulty_zone.session() as own, faulty_zone.session("alice") as other:
        own.groups.create("lab")
        write(own, f"{home}/x")
        for path in (home, f"{home}/x"):
            grant(own, "read", path, "lab")
        assert not other.collections.exists(home)
        own.groups.addmember("lab", "alice")
        assert [each.name for each in own.groups.getmembers("lab")] == ["alice"]
        assert read(other, f"{home}/x") == b"content"
        own.groups.removemember("lab", "alice")
        assert not other.collections.exists(home)


def test_ticket_of_a_collection_lets_its_bearer_list_and_read(
    irods_zone: AnyZone, irods_home: str
) -> None:
    with irods_zone.session() as own, irods_zone.session("alice") as other:
        own.collections.create(f"{irods_home}/c")
        write(own, f"{irods_home}/c/x")
        ticket = Ticket(own).issue("read", irods_home)
        Ticket(other, ticket.string).supply()
        listed = other.query(DataObject.name).filter(Collection.name == f"{irods_home}/c")
        assert [row[DataObject.name] for row in listed] == ["x"]
        assert read(other, f"{irods_home}/c/x") == b"content"
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            write(other, f"{irods_home}/c/x")
        ticket.delete()


def test_ticket_of_an_object_shows_nothing_else(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as own, irods_zone.session("alice") as other:
        write(own, f"{irods_home}/x")
        write(own, f"{irods_home}/y")
        ticket = Ticket(own).issue("write", f"{irods_home}/x")
        Ticket(other, ticket.string).supply()
        write(other, f"{irods_home}/x", b"changed")
        assert other.data_objects.get(f"{irods_home}/x").size == len(b"changed")
        with pytest.raises(exception.OBJ_PATH_DOES_NOT_EXIST):
            read(other, f"{irods_home}/y")
        ticket.delete()


def test_used_up_and_expired_tickets_say_so(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as own:
        write(own, f"{irods_home}/x")
        twice = Ticket(own).issue("read", f"{irods_home}/x").modify("uses", 2)
        expired = Ticket(own).issue("read", f"{irods_home}/x")
        expired.modify("expire", int(time.time()) - 10)
        # A use is a connection, however often it opens the object.
        for _ in range(2):
            with irods_zone.session("alice") as other:
                Ticket(other, twice.string).supply()
                assert read(other, f"{irods_home}/x") == read(other, f"{irods_home}/x")
        with irods_zone.session("alice") as other:
            Ticket(other, twice.string).supply()
            with pytest.raises(exception.CAT_TICKET_USES_EXCEEDED):
                read(other, f"{irods_home}/x")
        with irods_zone.session("alice") as other:
            Ticket(other, expired.string).supply()
            with pytest.raises(exception.CAT_TICKET_EXPIRED):
                read(other, f"{irods_home}/x")
        twice.delete()
        expired.delete()
