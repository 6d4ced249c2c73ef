"""Writing of whole objects, also in the place of others, against other writers and breaks."""

from __future__ import annotations

import errno
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from irods import keywords as kw
from irods.session import iRODSSession
from irods.ticket import Ticket

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods.exceptions import ChecksumMismatch, ContentMissing, ZoneUnavailable
from nds_jupyter.data.irods.object_descriptors import BLOCK
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.replacement import ReplacementIncomplete
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

DELETE_DISALLOWED = -41000

SIZES = {"by one request": 1000, "by way of a temporary object": BLOCK + 1000}


@pytest.fixture(params=SIZES.values(), ids=SIZES)
def size(request: pytest.FixtureRequest) -> int:
    """Give a size of each of the two ways in which objects are written."""
    return int(request.param)


@pytest.fixture
def foreign(irods_zone: AnyZone) -> Iterator[iRODSSession]:
    """Give a session of another program of the same account."""
    with irods_zone.session() as session:
        yield session


@pytest.fixture
def temporary_zone(tmp_path: Path) -> Iterator[Zone]:
    with Zone(tmp_path / "zone") as zone:
        yield zone


def write(fs: IrodsFileSystem, path: str, content: bytes) -> None:
    """Write an object as `open` does, where `pipe_file` may have a shorter way."""
    with fs.open(path, "wb") as file:
        file.write(content)


def test_what_is_written_over_keeps_what_it_is(
    fs: IrodsFileSystem, irods_home: str, foreign: iRODSSession, connect: Connect, size: int
) -> None:
    path, avu = f"{irods_home}/x", Avu(name="a", value="b")
    fs.pipe_file(path, b"old")
    fs.set_metadata(path, [avu])
    before = fs.info(path)
    ticket = Ticket(foreign).issue("read", path)
    content = secrets.token_bytes(size)
    write(fs, path, content)
    after = fs.info(path)
    assert (after["id"], after["created"]) == (before["id"], before["created"])
    assert after["checksum"] not in (None, before["checksum"])
    assert fs.metadata(path) == (avu,)
    assert connect("bob", ticket=ticket.string).cat_file(path) == content
    assert fs.ls(irods_home, detail=False) == [path]
    assert len(fs.replicas(path)) == 1


def test_many_writers_at_once_leave_a_content_that_one_of_them_wrote(
    connect: Connect, irods_home: str, size: int
) -> None:
    paths = [f"{irods_home}/x{number}" for number in range(4)]
    writers = [connect() for _ in range(4)]
    written: dict[str, set[bytes]] = {path: set() for path in paths}
    refused: list[OSError] = []

    def replace_all(writer: IrodsFileSystem) -> None:
        for path in paths:
            content = secrets.token_bytes(8) * (size // 8)
            written[path].add(content)
            try:
                write(writer, path, content)
            except OSError as exc:
                refused.append(exc)

    for path in paths[:2]:
        writers[0].pipe_file(path, b"old")
    with ThreadPoolExecutor(len(writers)) as pool:
        list(pool.map(replace_all, writers))
    assert {exc.errno for exc in refused} <= {errno.EBUSY}
    assert sorted(writers[0].ls(irods_home, detail=False)) == paths
    for path in paths:
        assert writers[0].cat_file(path) in written[path]
        assert [each.status for each in writers[0].replicas(path)] == ["good"]


@pytest.mark.parametrize("is_new", [True, False])
def test_who_meets_another_writer_is_refused_and_harms_nothing(
    fs: IrodsFileSystem,
    irods_home: str,
    foreign: iRODSSession,
    size: int,
    is_new: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nds_jupyter.data.irods.objects._BUSY_BACKOFF", (0.1,))
    path = f"{irods_home}/x"
    if not is_new:
        fs.pipe_file(path, b"old")
    with foreign.data_objects.open(path, "w") as file:
        file.write(b"of another")
        with pytest.raises(OSError, match=f"{path} is being written by somebody else") as refused:
            write(fs, path, b"1" * size)
        assert refused.value.errno == errno.EBUSY
    assert fs.cat_file(path) == b"of another"
    assert fs.ls(irods_home, detail=False) == [path]


def test_only_one_of_many_makes_an_object_that_must_be_new(
    connect: Connect, irods_home: str, size: int
) -> None:
    writers = [connect() for _ in range(4)]
    contents = [bytes([number]) * size for number in range(4)]
    barrier = threading.Barrier(4)

    def make(writer: IrodsFileSystem, content: bytes) -> bytes | None:
        try:
            with writer.open(f"{irods_home}/x", "xb") as file:
                file.write(content)
                barrier.wait(timeout=60)
        except FileExistsError:
            return None
        return content

    with ThreadPoolExecutor(4) as pool:
        made = [each for each in pool.map(make, writers, contents) if each is not None]
    assert made == [writers[0].cat_file(f"{irods_home}/x")]
    assert writers[0].ls(irods_home, detail=False) == [f"{irods_home}/x"]


def test_an_object_without_a_file_is_told_replaced_and_removed(
    temporary_zone: Zone, size: int
) -> None:
    fs = connect_to(temporary_zone)
    for name in ("a", "b", "c"):
        fs.pipe_file(f"{fs.home}/{name}", b"old")
        temporary_zone.lose_file(f"{fs.home}/{name}")
    with pytest.raises(ContentMissing, match="its file is missing in the storage"):
        fs.cat_file(f"{fs.home}/a")
    write(fs, f"{fs.home}/a", b"2" * size)
    assert fs.cat_file(f"{fs.home}/a") == b"2" * size
    fs.rm(f"{fs.home}/b", trash=True)
    fs.rm(f"{fs.home}/c", trash=False)
    assert fs.ls(fs.home, detail=False) == [f"{fs.home}/a"]


def test_nothing_is_added_to_a_damaged_object(temporary_zone: Zone) -> None:
    fs = connect_to(temporary_zone)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"whole")
    checksum = fs.checksum(path)
    temporary_zone.damage_file(path, b"hole!")
    for change in (lambda: fs.open(path, "ab"), lambda: fs.cp_file(path, f"{path}2")):
        with pytest.raises(ChecksumMismatch):
            change()
    assert fs.checksum(path) == checksum
    assert fs.ls(fs.home, detail=False) == [path]


def test_new_content_is_kept_where_writing_over_broke_off(temporary_zone: Zone) -> None:
    fs = connect_to(temporary_zone)
    path, content = f"{fs.home}/x", secrets.token_bytes(BLOCK + 1000)
    fs.pipe_file(path, b"old")
    temporary_zone.store.copy_limit = 1000
    with pytest.raises(ReplacementIncomplete, match=r"move that to") as broken:
        write(fs, path, content)
    (kept,) = set(fs.ls(fs.home, detail=False)) - {path}
    assert f"in {kept}:" in str(broken.value)
    temporary_zone.store.copy_limit = None
    fs.mv(kept, path)
    assert fs.cat_file(path) == content
    assert fs.ls(fs.home, detail=False) == [path]


def test_copy_that_never_began_changes_nothing(temporary_zone: Zone) -> None:
    fs = connect_to(temporary_zone)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"old")
    temporary_zone.faults.drop(Api.COPY, times=10)
    with pytest.raises(ConnectionError):
        write(fs, path, b"1" * (BLOCK + 1))
    assert fs.cat_file(path) == b"old"
    assert fs.ls(fs.home, detail=False) == [path]


def test_copy_whose_answer_was_lost_is_known_by_what_it_did(
    temporary_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = connect_to(temporary_zone)
    path, content = f"{fs.home}/x", b"6" * (BLOCK + 1)
    fs.pipe_file(path, b"old")
    copy, copied = ObjectOperations.copy, []

    def lose_answer(*args: Any, **options: Any) -> None:
        copy(*args, **options)
        copied.append(args)
        raise ZoneUnavailable(errno.ECONNABORTED, "the answer was lost")

    monkeypatch.setattr(ObjectOperations, "copy", lose_answer)
    write(fs, path, content)
    assert len(copied) == 1
    assert fs.cat_file(path) == content
    assert fs.ls(fs.home, detail=False) == [path]


def test_replacement_that_got_no_answer_is_repeated(temporary_zone: Zone, size: int) -> None:
    fs = connect_to(temporary_zone)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"old")
    for api in (Api.PUT, Api.COPY, Api.CLOSE):
        temporary_zone.faults.drop(api)
    write(fs, path, b"3" * size)
    assert fs.cat_file(path) == b"3" * size
    assert fs.ls(fs.home, detail=False) == [path]


def test_a_zone_that_forbids_removal_keeps_nothing_beside_the_object(
    temporary_zone: Zone, size: int
) -> None:
    fs = connect_to(temporary_zone)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"old")
    temporary_zone.faults.fail(DELETE_DISALLOWED, Api.UNLINK, times=10)
    write(fs, path, b"4" * size)
    assert fs.cat_file(path) == b"4" * size
    assert fs.ls(fs.home, detail=False) == [path]


def test_replicas_elsewhere_are_written_over_where_they_are(
    temporary_zone: Zone, size: int
) -> None:
    temporary_zone.add_resource("other")
    with temporary_zone.session() as session:
        home = temporary_zone.home()
        with session.data_objects.open(f"{home}/x", "w", **{kw.DEST_RESC_NAME_KW: "other"}) as file:
            file.write(b"old")
    fs = connect_to(temporary_zone)
    write(fs, f"{home}/x", b"5" * size)
    assert [(each.resource, each.status) for each in fs.replicas(f"{home}/x")] == [
        ("other", "good")
    ]
