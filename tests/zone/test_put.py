"""A put whose content is in its message, which writes over an object in its place."""

from __future__ import annotations

import base64
import hashlib

import pytest
from irods import exception
from irods.message import FileOpenRequest, StringStringMap, iRODSMessage
from irods.session import iRODSSession

from tests.irods_zone.codes import Api
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


def put(session: iRODSSession, path: str, content: bytes, **words: str) -> None:
    body = FileOpenRequest(
        objPath=path,
        createMode=0,
        openFlags=0,
        offset=0,
        dataSize=len(content),
        numThreads=0,
        oprType=1,
        KeyValPair_PI=StringStringMap({"dataIncluded": "", **words}),
    )
    message = iRODSMessage("RODS_API_REQ", msg=body, bs=content, int_info=Api.PUT)
    with session.pool.get_connection() as connection:
        connection.send(message)
        connection.recv()


def read(session: iRODSSession, path: str) -> bytes:
    with session.data_objects.open(path, "r") as opened:
        return bytes(opened.read())


def checksum(content: bytes) -> str:
    return f"sha2:{base64.b64encode(hashlib.sha256(content).digest()).decode()}"


@pytest.mark.parametrize("content", [b"", b"content", b"\0" * 300_000])
def test_content_is_written_at_once(irods_zone: AnyZone, irods_home: str, content: bytes) -> None:
    path = f"{irods_home}/x"
    with irods_zone.session() as session:
        put(session, path, content)
        found = session.data_objects.get(path)
        assert (found.size, found.replica_status, found.checksum) == (len(content), "1", None)
        assert read(session, path) == content


def test_what_is_there_is_kept_unless_forced(irods_zone: AnyZone, irods_home: str) -> None:
    path = f"{irods_home}/x"
    with irods_zone.session() as session:
        put(session, path, b"old", regChksum="")
        before = session.data_objects.get(path)
        assert before.checksum == checksum(b"old")
        with pytest.raises(exception.OVERWRITE_WITHOUT_FORCE_FLAG):
            put(session, path, b"newer")
        assert read(session, path) == b"old"
        put(session, path, b"newer", forceFlag="")
        after = session.data_objects.get(path)
        assert (after.id, after.create_time) == (before.id, before.create_time)
        assert (after.size, after.checksum) == (5, None)
        assert read(session, path) == b"newer"


def test_wrong_checksum_leaves_a_stale_replica(irods_zone: AnyZone, irods_home: str) -> None:
    path = f"{irods_home}/x"
    with irods_zone.session() as session:
        put(session, path, b"content", verifyChksum=checksum(b"content"))
        assert session.data_objects.get(path).checksum == checksum(b"content")
        with pytest.raises(exception.USER_CHKSUM_MISMATCH):
            put(session, path, b"other", verifyChksum=checksum(b"content"), forceFlag="")
        found = session.data_objects.get(path)
        assert (found.size, found.replica_status) == (5, "0")


def test_object_that_somebody_writes_is_refused(irods_zone: AnyZone, irods_home: str) -> None:
    path = f"{irods_home}/x"
    with irods_zone.session() as writer, irods_zone.session() as other:
        put(writer, path, b"content")
        with writer.data_objects.open(path, "w") as opened:
            opened.write(b"inter")
            with pytest.raises(exception.HIERARCHY_ERROR):
                put(other, path, b"other", forceFlag="")
        assert read(other, path) == b"inter"


def test_other_replicas_are_stale_afterwards(faulty_zone: Zone) -> None:
    path = f"{faulty_zone.home()}/x"
    faulty_zone.add_resource("second")
    with faulty_zone.session() as session:
        put(session, path, b"old")
        session.data_objects.replicate(path, resource="second")
        put(session, path, b"newer", forceFlag="")
        found = session.data_objects.get(path)
        assert [(each.status, each.size) for each in found.replicas] == [("1", 5), ("0", 3)]


def test_full_disk_leaves_a_stale_replica(faulty_zone: Zone) -> None:
    path = f"{faulty_zone.home()}/x"
    with faulty_zone.session() as session:
        put(session, path, b"old")
        faulty_zone.faults.fill(room=2)
        with pytest.raises(exception.UNIX_FILE_WRITE_ERR):
            put(session, path, b"newer", forceFlag="")
        found = session.data_objects.get(path)
        assert (found.size, found.replica_status) == (0, "0")
