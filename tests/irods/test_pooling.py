"""Which connections are used again: none that the server may not be done with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from irods.access import iRODSAccess
from irods.exception import iRODSException
from irods.meta import iRODSMeta
from irods.models import DataObject
from irods.ticket import Ticket

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods.conftest import Connect

Change = Callable[[Any, str], object]

FAILING_CHANGES: dict[str, Change] = {
    "unlink": lambda session, path: session.data_objects.unlink(path, force=True),
    "move": lambda session, path: session.data_objects.move(path, f"{path}/y"),
    "copy": lambda session, path: session.data_objects.copy(path, f"{path}/y"),
    "checksum": lambda session, path: session.data_objects.chksum(path),
    "remove a collection": lambda session, path: session.collections.remove(path),
    "metadata": lambda session, path: session.metadata.add(DataObject, path, iRODSMeta("a", "b")),
    "access": lambda session, path: session.acls.set(iRODSAccess("read", path, "rods")),
    "ticket": lambda session, path: Ticket(session).issue("read", path),
}


@pytest.mark.parametrize("change", FAILING_CHANGES.values(), ids=FAILING_CHANGES)
def test_a_connection_that_met_an_error_of_a_change_is_closed(
    fs: IrodsFileSystem, irods_home: str, change: Change
) -> None:
    assert fs.ls(irods_home) == []
    session = fs._session_holder.current()
    [used] = session.pool.idle
    with pytest.raises(iRODSException):
        change(session, f"{irods_home}/none/x")
    assert session.pool.idle == session.pool.active == set()
    assert used.socket is None
    assert fs.ls(irods_home) == []


def test_a_connection_that_met_an_error_of_reading_is_used_again(
    fs: IrodsFileSystem, irods_home: str
) -> None:
    fs.pipe_file(f"{irods_home}/x", b"1")
    session = fs._session_holder.current()
    before = set(session.pool.idle)
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            fs.cat_file(f"{irods_home}/none")
        with pytest.raises(FileNotFoundError):
            fs.metadata(f"{irods_home}/none")
        assert fs.cat_file(f"{irods_home}/x") == b"1"
    assert before <= session.pool.idle


@pytest.mark.parametrize("name", ["z", "x"])
def test_a_failed_rename_is_not_half_done(
    fs: IrodsFileSystem, connect: Connect, irods_home: str, name: str
) -> None:
    path = f"{irods_home}/x"
    fs.pipe_file(path, b"1")
    session = fs._session_holder.current()
    with pytest.raises(iRODSException):
        session.data_objects.move(path, f"{irods_home}/no/such/{name}")
    # Another client is not kept waiting, and the next change commits no half of the rename.
    connect(timeout=10.0).pipe_file(path, b"2")
    fs.mkdir(f"{irods_home}/c")
    assert fs.find(irods_home, withdirs=True) == [irods_home, f"{irods_home}/c", path]
    assert fs.cat_file(path) == b"2"


def test_targets_of_a_move_are_looked_at_first(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"1")
    fs.pipe_file(f"{irods_home}/a/y", b"2")
    before = fs.find(irods_home, withdirs=True)
    for source, target, kind, said in (
        ("x", "none/z", FileNotFoundError, f"no collection {irods_home}/none for"),
        ("a", "none/z", FileNotFoundError, f"no collection {irods_home}/none for"),
        ("a", "a/b", OSError, "below itself"),
        ("a", "a/y/b", OSError, "below itself"),
        ("x", "a/y/z", NotADirectoryError, f"{irods_home}/a/y is a data object"),
        ("a", "x", FileExistsError, "exists already"),
        ("none", "z", FileNotFoundError, f"{irods_home}/none"),
    ):
        with pytest.raises(kind, match=said):
            fs.mv(f"{irods_home}/{source}", f"{irods_home}/{target}")
        assert fs.find(irods_home, withdirs=True) == before
    fs.mv(f"{irods_home}/x", f"{irods_home}/x")
    fs.mv(f"{irods_home}/a", f"{irods_home}/a")
    assert fs.find(irods_home, withdirs=True) == before
    assert len(fs._session_holder.current().pool.idle) > 0


def test_a_move_to_where_one_may_not_write_is_forbidden(
    fs: IrodsFileSystem, connect: Connect, irods_zone: Any, irods_home: str
) -> None:
    other = connect("alice")
    mine = f"{other.home}/mine"
    other.pipe_file(mine, b"1")
    with irods_zone.session() as session:
        session.acls.set(iRODSAccess("read", irods_home, "alice", fs.zone))
    try:
        for target in (irods_home, f"{irods_home}/other"):
            with pytest.raises(PermissionError, match=irods_home):
                other.mv(mine, target)
        assert other.cat_file(mine) == b"1"
    finally:
        other.rm(mine, trash=False)
