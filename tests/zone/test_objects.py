"""Objects, replicas, collections and metadata, where the recorded messages say nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from irods import exception
from irods.manager.data_object_manager import Server_Checksum_Warning
from irods.message import RErrorStack
from irods.meta import AVUOperation, iRODSMeta
from irods.models import Collection, CollectionMeta, DataObject
from irods.session import iRODSSession

from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


def write(session: iRODSSession, path: str, content: bytes = b"content", **words: str) -> None:
    with session.data_objects.open(path, "w", **words) as opened:
        opened.write(content)


def read(session: iRODSSession, path: str) -> bytes:
    with session.data_objects.open(path, "r") as opened:
        return bytes(opened.read())


def test_append_and_update_keep_the_rest(irods_zone: AnyZone, irods_home: str) -> None:
    path = f"{irods_home}/x"
    with irods_zone.session() as session:
        write(session, path, b"abc", regChksum="")
        with session.data_objects.open(path, "a") as opened:
            opened.write(b"def")
        assert read(session, path) == b"abcdef"
        assert session.data_objects.get(path).checksum is None
        with session.data_objects.open(path, "r+") as opened:
            assert opened.read() == b"abcdef"
        session.data_objects.truncate(path, 2)
        assert read(session, path) == b"ab"


def test_opening_to_write_without_writing_changes_nothing(
    irods_zone: AnyZone, irods_home: str
) -> None:
    path = f"{irods_home}/x"
    with irods_zone.session() as session:
        write(session, path, regChksum="")
        before = session.data_objects.get(path)
        session.data_objects.open(path, "r+").close()
        after = session.data_objects.get(path)
    assert (after.checksum, after.replica_status) == (before.checksum, "1")


def test_object_in_flight_is_neither_read_nor_removed(faulty_zone: Zone) -> None:
    path = f"{faulty_zone.home()}/x"
    with faulty_zone.session() as writer, faulty_zone.session() as other:
        opened = writer.data_objects.open(path, "w")
        assert other.data_objects.get(path).replica_status == "2"
        with pytest.raises(exception.HIERARCHY_ERROR):
            other.data_objects.open(path, "r")
        with pytest.raises(exception.LOCKED_DATA_OBJECT_ACCESS):
            other.data_objects.unlink(path, force=True)
        opened.close()
        assert read(other, path) == b""


def test_writing_one_replica_makes_the_others_stale(faulty_zone: Zone) -> None:
    path = f"{faulty_zone.home()}/x"
    faulty_zone.add_resource("second")
    with faulty_zone.session() as session:
        write(session, path, b"old", regChksum="")
        session.data_objects.replicate(path, resource="second")
        write(session, path, b"newer", destRescName="second")
        found = session.data_objects.get(path)
        assert [(each.status, each.size) for each in found.replicas] == [("0", 3), ("1", 5)]
        assert read(session, path) == b"newer"
        session.data_objects.replicate(path, updateRepl="", all="")
        found = session.data_objects.get(path)
        assert [(each.status, each.size) for each in found.replicas] == [("1", 5), ("1", 5)]
        session.data_objects.trim(path, replNum="0", copies="1")
        assert [each.number for each in session.data_objects.get(path).replicas] == [1]


def test_names_that_are_taken_are_refused(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as session:
        for name in ("x", "y"):
            write(session, f"{irods_home}/{name}")
        session.collections.create(f"{irods_home}/c")
        with pytest.raises(exception.OVERWRITE_WITHOUT_FORCE_FLAG):
            session.data_objects.copy(f"{irods_home}/x", f"{irods_home}/y")
        with pytest.raises(exception.CAT_NAME_EXISTS_AS_DATAOBJ):
            session.data_objects.move(f"{irods_home}/x", f"{irods_home}/y")
        with pytest.raises(exception.CAT_NAME_EXISTS_AS_DATAOBJ):
            session.collections.create(f"{irods_home}/x")
        with pytest.raises(exception.CAT_COLLECTION_NOT_EMPTY):
            session.collections.remove(irods_home, recurse=False)
        with pytest.raises(exception.CAT_UNKNOWN_COLLECTION):
            write(session, f"{irods_home}/missing/x")


def test_removed_twice_both_stay_in_the_trash(irods_zone: AnyZone, irods_home: str) -> None:
    trash = irods_home.replace("/home/", "/trash/home/", 1)
    with irods_zone.session() as session:
        for _ in range(2):
            write(session, f"{irods_home}/x")
            session.data_objects.unlink(f"{irods_home}/x")
        assert len(session.collections.get(trash).data_objects) == 2
        session.collections.remove(trash, force=True)
        assert not session.collections.exists(trash)


def test_moved_collection_takes_everything_along(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as session:
        session.collections.create(f"{irods_home}/a/b%_c/d")
        session.collections.create(f"{irods_home}/a0")
        write(session, f"{irods_home}/a/b%_c/d/x")
        session.collections.move(f"{irods_home}/a", f"{irods_home}/moved")
        assert read(session, f"{irods_home}/moved/b%_c/d/x") == b"content"
        below = [each.name for each in session.collections.get(irods_home).subcollections]
        assert sorted(below) == ["a0", "moved"]
        assert session.collections.get(f"{irods_home}/moved/b%_c").subcollections[0].name == "d"


def test_verification_tells_a_damaged_replica(faulty_zone: Zone) -> None:
    path = f"{faulty_zone.home()}/x"
    with faulty_zone.session() as session:
        write(session, path, regChksum="")
        found = session.data_objects.get(path)
        assert session.data_objects.chksum(path, verifyChksum="") == ""
        Path(found.replicas[0].path).write_bytes(b"damaged")
        assert session.data_objects.chksum(path) == found.checksum
        findings = RErrorStack()
        with pytest.raises(Server_Checksum_Warning):
            session.data_objects.chksum(path, verifyChksum="", r_error=findings)
    assert [each.status_str for each in findings] == ["USER_CHKSUM_MISMATCH"]


def test_atomic_metadata_is_all_or_nothing(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as session:
        metadata = session.collections.get(irods_home).metadata
        metadata.apply_atomic_operations(
            AVUOperation(operation="add", avu=iRODSMeta("a", "1", "u")),
            AVUOperation(operation="add", avu=iRODSMeta("a", "2")),
            AVUOperation(operation="remove", avu=iRODSMeta("a", "3")),
        )
        assert sorted(each.value for each in metadata.get_all("a")) == ["1", "2"]
        metadata.set("a", "4")
        assert [each.value for each in metadata.get_all("a")] == ["4"]
        asked = session.query(Collection.name).filter(
            CollectionMeta.name == "a", CollectionMeta.value == "4", Collection.name == irods_home
        )
        assert [row[Collection.name] for row in asked] == [irods_home]


def test_genquery2_combines_conditions(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as session:
        for name in ("a1", "a2", "b1", "it's"):
            write(session, f"{irods_home}/{name}")
        asked = (
            f"select DATA_NAME, DATA_REPL_STATUS, COLL_NAME where COLL_NAME = '{irods_home}'"
            " and (DATA_NAME like 'a%' or DATA_NAME = 'it''s') and not DATA_NAME in ('a2')"
            " and DATA_SIZE between '1' and '100' and DATA_REPL_STATUS = '1'"
            " order by DATA_NAME desc limit 10"
        )
        assert session.genquery2(asked) == [
            ["it's", "1", irods_home],
            ["a1", "1", irods_home],
        ]
        counted = f"select count(DATA_ID) where COLL_NAME = '{irods_home}'"
        assert session.genquery2(counted) == [["4"]]
        with pytest.raises(exception.SYS_INVALID_INPUT_PARAM):
            session.genquery2("select NO_SUCH_COLUMN")


def test_pages_of_one_query_see_one_state(faulty_zone: Zone) -> None:
    home = faulty_zone.home()
    faulty_zone.fill(home, [f"{number:03}" for number in range(10)])
    with faulty_zone.session() as reader, faulty_zone.session() as other:
        asked = reader.query(DataObject.name).filter(Collection.name == home).limit(4)
        batches = asked.get_batches()
        seen = [row[DataObject.name] for row in next(batches)]
        other.data_objects.unlink(f"{home}/009", force=True)
        write(other, f"{home}/005a")
        seen += [row[DataObject.name] for batch in batches for row in batch]
    assert seen == [f"{number:03}" for number in range(10)]


def test_many_sessions_write_at_once(irods_zone: AnyZone, irods_home: str) -> None:
    def work(number: int) -> None:
        with irods_zone.session() as session:
            for each in range(5):
                write(session, f"{irods_home}/{number}-{each}", bytes([number]) * 1000)
                assert read(session, f"{irods_home}/{number}-{each}")[0] == number

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with irods_zone.session() as session:
        assert len(session.collections.get(irods_home).data_objects) == 40


def test_bulk_objects_are_like_any_other(faulty_zone: Zone) -> None:
    home = faulty_zone.home()
    faulty_zone.fill(home, ["a", "b"], b"shared")
    with faulty_zone.session() as session:
        write(session, f"{home}/a", b"own")
        assert read(session, f"{home}/b") == b"shared"
        session.data_objects.unlink(f"{home}/a", force=True)
        assert read(session, f"{home}/b") == b"shared"
        assert session.data_objects.get(f"{home}/b").checksum.startswith("sha2:")
