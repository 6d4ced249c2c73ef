"""Faults on demand, as a client sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from irods import exception
from irods.data_object import iRODSDataObject
from irods.models import Collection, DataObject
from irods.session import iRODSSession

from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone

# The client leaves the sockets of broken connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

MEBIBYTE = 1 << 20
DEADLINE = 30.0


@pytest.fixture
def session(faulty_zone: Zone) -> Iterator[iRODSSession]:
    with faulty_zone.session(connection_timeout=DEADLINE) as session:
        yield session


def write(session: iRODSSession, path: str, content: bytes = b"content") -> None:
    with session.data_objects.open(path, "w") as opened:
        opened.write(content)


def test_dropped_call_ends_its_connection_and_the_next_succeeds(
    faulty_zone: Zone, session: iRODSSession
) -> None:
    faulty_zone.faults.drop(Api.GENQUERY1, nth=2)
    assert session.collections.exists(faulty_zone.home())
    with pytest.raises(exception.NetworkException):
        session.collections.exists(faulty_zone.home())
    assert session.collections.exists(faulty_zone.home())


def test_transfer_drops_after_so_many_bytes(faulty_zone: Zone, session: iRODSSession) -> None:
    path = f"{faulty_zone.home()}/x"
    write(session, path, bytes(4 * MEBIBYTE))
    faulty_zone.faults.drop_after(3 * MEBIBYTE)
    raw = session.data_objects.open(path, "r").detach()
    assert len(raw.conn.read_file(raw.desc, 2 * MEBIBYTE)) == 2 * MEBIBYTE
    # Not by `readinto`: there the client waits for ever (see `Faults.drop_after`).
    with pytest.raises(exception.NetworkException):
        raw.conn.read_file(raw.desc, 2 * MEBIBYTE)
    faulty_zone.faults.clear()
    assert session.data_objects.get(path).size == 4 * MEBIBYTE


def test_interrupted_write_leaves_a_replica_that_looks_good(
    faulty_zone: Zone, session: iRODSSession, tmp_path: Path
) -> None:
    path = f"{faulty_zone.home()}/x"
    (tmp_path / "there").write_bytes(bytes(20 * MEBIBYTE))
    faulty_zone.faults.drop_after(9 * MEBIBYTE)
    with pytest.raises((exception.NetworkException, OSError)):
        session.data_objects.put(str(tmp_path / "there"), path)
    faulty_zone.faults.clear()
    found = wait_for_status(session, path, "1")
    assert found.size == 9 * MEBIBYTE
    assert found.checksum is None


def test_all_connections_drop_at_once(faulty_zone: Zone, session: iRODSSession) -> None:
    assert session.collections.exists(faulty_zone.home())
    faulty_zone.faults.drop_now()
    with pytest.raises(exception.NetworkException):
        session.collections.exists(faulty_zone.home())
    assert session.collections.exists(faulty_zone.home())


def test_stalled_call_meets_the_deadline_of_the_client(faulty_zone: Zone) -> None:
    faulty_zone.faults.stall(Api.GENQUERY1)
    with (
        faulty_zone.session(connection_timeout=0.5) as session,
        pytest.raises(exception.NetworkException),
    ):
        session.collections.exists(faulty_zone.home())


def test_stalled_call_goes_on_when_faults_end(faulty_zone: Zone, session: iRODSSession) -> None:
    faulty_zone.faults.stall(Api.GENQUERY1)
    answers: list[bool] = []
    thread = threading.Thread(
        target=lambda: answers.append(session.collections.exists(faulty_zone.home()))
    )
    thread.start()
    wait_until(lambda: Api.GENQUERY1 in faulty_zone.faults.calls)
    assert answers == []
    faulty_zone.faults.clear()
    thread.join(DEADLINE)
    assert answers == [True]


def test_slow_server_answers_late(faulty_zone: Zone, session: iRODSSession) -> None:
    session.collections.get(faulty_zone.home())
    faulty_zone.faults.slow(0.2)
    start = time.monotonic()
    session.collections.get(faulty_zone.home())
    assert time.monotonic() - start >= 0.2


def test_full_disk_refuses_a_write_and_says_so(faulty_zone: Zone, session: iRODSSession) -> None:
    faulty_zone.faults.fill(room=100)
    write(session, f"{faulty_zone.home()}/fits", bytes(60))
    with pytest.raises(exception.UNIX_FILE_WRITE_ERR) as raised:
        write(session, f"{faulty_zone.home()}/too large", bytes(60))
    assert "ENOSPC" in repr(raised.value)


def test_reloading_server_refuses_connections_for_a_while(faulty_zone: Zone) -> None:
    refused = pytest.raises(exception.NetworkException)
    with faulty_zone.faults.reloading(), faulty_zone.session() as session, refused:
        session.collections.get(faulty_zone.home())
    with faulty_zone.session() as session:
        assert session.collections.exists(faulty_zone.home())


def test_call_fails_as_often_as_asked(faulty_zone: Zone, session: iRODSSession) -> None:
    faulty_zone.faults.fail(exception.SYS_COPY_LEN_ERR.code, Api.OPEN, times=2)
    for _ in range(2):
        with pytest.raises(exception.SYS_COPY_LEN_ERR):
            write(session, f"{faulty_zone.home()}/x")
    write(session, f"{faulty_zone.home()}/x")


def test_object_changes_under_its_reader(faulty_zone: Zone, session: iRODSSession) -> None:
    path = f"{faulty_zone.home()}/x"
    write(session, path, b"a" * 10)
    with session.data_objects.open(path, "r") as opened:
        faulty_zone.overwrite(path, b"b" * 12)
        assert opened.read() == b"b" * 10  # No further than to the size when it was opened.
    assert session.data_objects.get(path).size == 12


def test_older_server_has_no_genquery2(faulty_zone: Zone) -> None:
    faulty_zone.faults.version = (4, 3, 1)
    with faulty_zone.session() as session, pytest.raises(exception.OperationNotSupported):
        session.genquery2("select COLL_NAME")


def test_open_queries_are_few(faulty_zone: Zone, session: iRODSSession) -> None:
    faulty_zone.fill(faulty_zone.home(), ["a", "b", "c"])
    asked = session.query(DataObject.name).filter(Collection.name == faulty_zone.home()).limit(1)
    for _ in range(50):
        asked.execute()
    with pytest.raises(exception.CAT_STATEMENT_TABLE_FULL):
        asked.execute()


def wait_for_status(session: iRODSSession, path: str, status: str) -> iRODSDataObject:
    found = session.data_objects.get(path)
    end = time.monotonic() + DEADLINE
    while found.replica_status != status:
        assert time.monotonic() < end, f"{path} is still in status {found.replica_status}"
        found = session.data_objects.get(path)
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)
