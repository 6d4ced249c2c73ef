"""A zone of ours answers a real client as a real server did, message by message.

The scenarios were recorded one after another in one zone, so they run one after another here.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from irods import exception
from irods.access import iRODSAccess
from irods.column import Like
from irods.models import Collection, DataObject
from irods.session import iRODSSession

from tests.irods_zone.zone import HOST, Zone
from tests.zone.recorder import Recorder
from tests.zone.transcripts import by_connection, recorded, reduce

HOME = "/tempZone/home/rods"
CAP = f"{HOME}/cap"
AWKWARD = "it's ü &<>.txt"
SMALL = b"hello irods\n" * 10
MEBIBYTE = 1 << 20

Connect = Callable[..., iRODSSession]


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    with Zone(tmp_path_factory.mktemp("transcripts") / "zone") as zone:
        yield zone


@pytest.fixture
def recorder(zone: Zone) -> Iterator[Recorder]:
    with Recorder((HOST, zone.port)).serving() as recorder:
        yield recorder


@pytest.fixture
def connect(zone: Zone, recorder: Recorder) -> Connect:
    def connect(user: str = "rods", password: str = "") -> iRODSSession:
        known = password or zone.password(user)
        return iRODSSession(
            host=HOST, port=recorder.port, user=user, zone="tempZone", password=known
        )

    return connect


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "small").write_bytes(SMALL)
    return str(tmp_path / "small")


def assert_same(recorder: Recorder, scenario: str) -> None:
    recorder.stop()
    ours, theirs = by_connection(recorder.messages), by_connection(recorded(scenario))
    assert len(ours) == len(theirs)
    for own, other in zip(ours, theirs, strict=True):
        assert own == other


def test_connect(connect: Connect, recorder: Recorder) -> None:
    with connect() as session:
        assert session.server_version == (5, 0, 2)
        assert session.collections.get(HOME).owner_name == "rods"
    assert_same(recorder, "connect")


def test_wrong_password(connect: Connect, recorder: Recorder) -> None:
    with (
        connect(password="wrong") as session,
        pytest.raises(exception.CAT_INVALID_AUTHENTICATION),
    ):
        session.collections.get(HOME)
    gc.collect()  # The client disconnects only when nothing refers to the connection any more.
    assert_same(recorder, "badpassword")


def test_unknown_user(connect: Connect, recorder: Recorder) -> None:
    with connect("nobody", "whatever") as session, pytest.raises(exception.CAT_INVALID_USER):
        session.collections.get(HOME)
    gc.collect()
    assert_same(recorder, "nouser")


def test_collections(connect: Connect, recorder: Recorder) -> None:
    with connect() as session:
        session.collections.create(CAP)
        session.collections.create(CAP)
        session.collections.create(f"{CAP}/a/b")
        assert session.collections.exists(CAP)
        assert not session.collections.exists(f"{CAP}/nope")
        session.collections.move(f"{CAP}/a/b", f"{CAP}/a/c")
        below = session.collections.get(CAP).subcollections
        assert [each.name for each in below] == ["a"]
        session.collections.remove(f"{CAP}/a", recurse=True, force=True)
    assert_same(recorder, "collections")


def test_objects(connect: Connect, recorder: Recorder, small: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with connect() as session:
        objects = session.data_objects
        objects.put(small, f"{CAP}/small.txt", regChksum="")
        objects.put(str(tmp_path / "empty"), f"{CAP}/empty")
        objects.put(small, f"{CAP}/small.txt")
        overwritten = objects.get(f"{CAP}/small.txt")
        assert (overwritten.size, overwritten.checksum) == (len(SMALL), None)
        with objects.open(f"{CAP}/small.txt", "r") as opened:
            assert opened.read() == SMALL
        with objects.open(f"{CAP}/small.txt", "r") as opened:
            opened.seek(6)
            assert opened.read(5) == SMALL[6:11]
        with objects.open(f"{CAP}/w.txt", "w") as opened:
            opened.write(b"abcdef")
        assert objects.chksum(f"{CAP}/w.txt").startswith("sha2:")
        objects.move(f"{CAP}/w.txt", f"{CAP}/v.txt")
        objects.copy(f"{CAP}/v.txt", f"{CAP}/u.txt")
        with pytest.raises(exception.OBJ_PATH_DOES_NOT_EXIST):
            objects.open(f"{CAP}/nope", "r")
        with pytest.raises(exception.DataObjectDoesNotExist):
            objects.get(f"{CAP}/nope")
        objects.put(small, f"{CAP}/{AWKWARD}")
        listed = [each.name for each in session.collections.get(CAP).data_objects]
        assert listed == ["empty", AWKWARD, "small.txt", "u.txt", "v.txt"]
        objects.unlink(f"{CAP}/u.txt", force=True)
        with pytest.raises(exception.CAT_NO_ROWS_FOUND):
            objects.unlink(f"{CAP}/u.txt", force=True)
        objects.unlink(f"{CAP}/v.txt")
        assert not objects.exists(CAP)
    assert_same(recorder, "objects")


def test_parallel(
    connect: Connect, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "cpu_count", lambda: 2)
    content = bytes(range(256)) * (40 * MEBIBYTE // 256)
    (tmp_path / "there").write_bytes(content)
    with connect() as session:
        session.data_objects.put(str(tmp_path / "there"), f"{CAP}/big")
        session.data_objects.get(f"{CAP}/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    recorder.stop()
    # Which thread takes which connection, and how far the other one is, differs from run to run.
    passed, expected = (
        Counter(reduce(each) for each in messages if "fileLseekOut_PI" not in each.msg)
        for messages in (recorder.messages, recorded("parallel"))
    )
    assert passed == expected


def test_query(connect: Connect, recorder: Recorder) -> None:
    shown = (
        DataObject.name,
        DataObject.size,
        DataObject.checksum,
        DataObject.modify_time,
        DataObject.replica_number,
        DataObject.replica_status,
    )
    names = ["big", "empty", AWKWARD, "small.txt"]
    with connect() as session:
        here = Collection.name == CAP
        paged = session.query(*shown).filter(here).limit(2)
        assert [row[DataObject.name] for row in paged] == names
        later = session.query(DataObject.name).filter(here)
        later = later.order_by(DataObject.name).offset(1).limit(2)
        assert [row[DataObject.name] for row in later] == names[1:]
        like = session.query(DataObject.name).filter(here, Like(DataObject.name, "%small%"))
        assert [row[DataObject.name] for row in like] == ["small.txt"]
        nothing = session.query(DataObject.name).filter(Collection.name == f"{CAP}/none")
        assert list(nothing) == []
        counted = session.query().count(DataObject.id).filter(here)
        assert [row[DataObject.id] for row in counted] == [4]
        rows = session.genquery2(
            f"select DATA_NAME, DATA_SIZE where COLL_NAME = '{CAP}'"
            " order by DATA_NAME limit 2 offset 1"
        )
        assert rows == [["empty", "0"], [AWKWARD, "120"]]
    assert_same(recorder, "query")


def test_metadata(connect: Connect, recorder: Recorder) -> None:
    with connect() as session:
        found = session.data_objects.get(f"{CAP}/small.txt")
        metadata = found.metadata
        metadata.add("nds.job", "01abc")
        assert [each.value for each in metadata.get_all("nds.job")] == ["01abc"]
        with pytest.raises(exception.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME):
            metadata.add("nds.job", "01abc")
        metadata.remove("nds.job", "01abc")
        assert "nds.job" not in metadata
        (granted,) = session.acls.get(found)
        assert (granted.access_name, granted.user_name) == ("own", "rods")
    assert_same(recorder, "metadata")


def test_permission(connect: Connect, recorder: Recorder, small: str) -> None:
    password = "aliceSecret"
    with connect() as session:
        session.users.create("alice", "rodsuser")
        session.users.modify("alice", "password", password)
    with connect("alice", password) as alice:
        alice.pool.get_connection()
        with pytest.raises(exception.OBJ_PATH_DOES_NOT_EXIST):
            alice.data_objects.open(f"{CAP}/small.txt", "r")
        with pytest.raises(exception.CollectionDoesNotExist):
            alice.collections.get(CAP)
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            alice.data_objects.put(small, f"{CAP}/x")
        alice.collections.create("/tempZone/home/alice/d")
    with connect() as session:
        granted = iRODSAccess("read", CAP, "alice", "tempZone")
        session.acls.set(granted, recursive=True)
    with connect("alice", password) as alice:
        alice.pool.get_connection()
        with alice.data_objects.open(f"{CAP}/small.txt", "r") as opened:
            assert opened.read() == SMALL
        with pytest.raises(exception.CAT_NO_ACCESS_PERMISSION):
            alice.data_objects.open(f"{CAP}/small.txt", "w")
    assert_same(recorder, "permission")
