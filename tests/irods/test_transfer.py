"""Local files to the zone and back."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback

from nds_jupyter.data.irods import ChecksumMismatch, IrodsFileSystem
from nds_jupyter.data.irods.exceptions import ContentMissing
from nds_jupyter.data.irods.object_descriptors import BLOCK, Descriptor
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone

LARGE = 9 * 2**20 + 17


class CountingCallback(Callback):
    """Counts the progress of a transfer and its parts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parts: list[CountingCallback] = []

    def branched(self, path_1: str, path_2: str, **options: Any) -> CountingCallback:
        self.parts.append(CountingCallback())
        return self.parts[-1]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(LARGE))
    return path


@pytest.fixture(params=["one stream", "parallel"])
def transferring(request: pytest.FixtureRequest, connect: Connect) -> IrodsFileSystem:
    return connect(parallel_from=2**20 if request.param == "parallel" else 2**40, streams=3)


def test_a_large_file_goes_and_comes_back(
    transferring: IrodsFileSystem, irods_home: str, large: Path
) -> None:
    fs, path = transferring, f"{irods_home}/large"
    sent, fetched = CountingCallback(), CountingCallback()
    fs.put_file(str(large), path, callback=sent)
    assert (sent.size, sent.value) == (LARGE, LARGE)
    assert fs.info(path)["size"] == LARGE
    assert fs.info(path)["checksum"] == fs.checksum(path)
    fs.get_file(path, str(large) + ".back", callback=fetched)
    assert (fetched.size, fetched.value) == (LARGE, LARGE)
    assert large.read_bytes() == Path(f"{large}.back").read_bytes()
    assert [path.name for path in sorted(large.parent.iterdir())] == ["large", "large.back"]


@pytest.mark.parametrize("size", [0, 1, 4 * 2**20, 4 * 2**20 + 1, 8 * 2**20 - 1])
def test_every_size_arrives_whole(
    transferring: IrodsFileSystem, irods_home: str, tmp_path: Path, size: int
) -> None:
    (tmp_path / "x").write_bytes(os.urandom(size))
    transferring.put_file(str(tmp_path / "x"), f"{irods_home}/x")
    transferring.get_file(f"{irods_home}/x", str(tmp_path / "y"))
    assert (tmp_path / "y").read_bytes() == (tmp_path / "x").read_bytes()


def test_a_tree_goes_and_comes_back(fs: IrodsFileSystem, irods_home: str, tmp_path: Path) -> None:
    for name in ("a.txt", "one/b.txt", "one/two/it's ü.txt", "one/empty"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "tree/nothing").mkdir()
    callback = CountingCallback()
    fs.put(str(tmp_path / "tree"), f"{irods_home}/tree", recursive=True, callback=callback)
    assert sum(each.value for each in callback.parts) == fs.du(f"{irods_home}/tree")
    assert fs.isdir(f"{irods_home}/tree/nothing")
    fs.get(f"{irods_home}/tree", str(tmp_path / "back"), recursive=True)
    there, back = (
        {path.relative_to(base): path.is_file() and path.read_bytes() for path in base.rglob("*")}
        for base in (tmp_path / "tree", tmp_path / "back")
    )
    assert there == back


def test_a_file_object_takes_what_comes(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"content")
    into = io.BytesIO()
    fs.get_file(f"{irods_home}/x", into)
    assert into.getvalue() == b"content"


def test_a_file_can_be_refused_where_one_is(
    transferring: IrodsFileSystem, irods_home: str, large: Path
) -> None:
    transferring.put_file(str(large), f"{irods_home}/x", mode="create")
    with pytest.raises(FileExistsError, match=f"{irods_home}/x"):
        transferring.put_file(str(large), f"{irods_home}/x", mode="create")


def test_a_missing_object_leaves_no_local_file(
    fs: IrodsFileSystem, irods_home: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"before")
    with pytest.raises(FileNotFoundError, match=f"{irods_home}/none"):
        fs.get_file(f"{irods_home}/none", str(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


# With a zone of our own: what breaks on the way.


@pytest.fixture(params=["one stream", "parallel"])
def faulty_transfer(request: pytest.FixtureRequest, faulty_zone: Zone) -> IrodsFileSystem:
    large = 2**20 if request.param == "parallel" else 2**40
    return connect_to(faulty_zone, parallel_from=large, streams=3, timeout=20.0)


def test_a_transfer_survives_a_dropped_connection(
    faulty_transfer: IrodsFileSystem, faulty_zone: Zone, large: Path
) -> None:
    path = f"{faulty_zone.home()}/x"
    faulty_zone.faults.drop(Api.WRITE, nth=2)
    faulty_transfer.put_file(str(large), path)
    faulty_zone.faults.drop(Api.READ, nth=2)
    faulty_transfer.get_file(path, f"{large}.back")
    assert Path(f"{large}.back").read_bytes() == large.read_bytes()
    assert faulty_transfer.ls(faulty_zone.home(), detail=False) == [path]


def test_a_transfer_survives_a_break_in_the_middle_of_a_message(
    faulty_transfer: IrodsFileSystem, faulty_zone: Zone, large: Path
) -> None:
    path = f"{faulty_zone.home()}/x"
    faulty_zone.faults.drop_after(2**20 + 1)
    faulty_transfer.put_file(str(large), path)
    faulty_zone.faults.drop_after(2**20 + 1)
    faulty_transfer.get_file(path, f"{large}.back")
    assert Path(f"{large}.back").read_bytes() == large.read_bytes()
    assert faulty_transfer.ls(faulty_zone.home(), detail=False) == [path]


def test_a_transfer_that_keeps_breaking_leaves_nothing(
    faulty_transfer: IrodsFileSystem, faulty_zone: Zone, large: Path
) -> None:
    path = f"{faulty_zone.home()}/x"
    faulty_zone.faults.drop(Api.WRITE, times=100)
    with pytest.raises(ConnectionError, match=path):
        faulty_transfer.put_file(str(large), path)
    faulty_zone.faults.clear()
    assert faulty_transfer.ls(faulty_zone.home()) == []
    faulty_transfer.put_file(str(large), path)
    faulty_zone.faults.drop(Api.READ, times=100)
    with pytest.raises(ConnectionError, match=path):
        faulty_transfer.get_file(path, f"{large}.back")
    assert [each.name for each in large.parent.iterdir() if "large" in each.name] == ["large"]


def test_a_full_resource_is_an_error_that_leaves_nothing(
    faulty_transfer: IrodsFileSystem, faulty_zone: Zone, large: Path
) -> None:
    path = f"{faulty_zone.home()}/x"
    faulty_transfer.pipe_file(path, b"before")
    faulty_zone.faults.fill(5 * 2**20)
    with pytest.raises(OSError, match=f"{path}: the iRODS resource is full"):
        faulty_transfer.put_file(str(large), path)
    faulty_zone.faults.clear()
    assert faulty_transfer.cat_file(path) == b"before"
    assert faulty_transfer.ls(faulty_zone.home(), detail=False) == [path]


def test_a_download_can_be_verified(faulty_zone: Zone, tmp_path: Path) -> None:
    fs = connect_to(faulty_zone, verify_downloads=True)
    path = f"{faulty_zone.home()}/x"
    fs.pipe_file(path, b"content")
    fs.get_file(path, str(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == b"content"
    (stored,) = (
        each
        for each in faulty_zone.folder.rglob("*")
        if each.is_file() and each.stat().st_size == 7
    )
    stored.write_bytes(b"changed")
    with pytest.raises(ChecksumMismatch, match=path):
        fs.get_file(path, str(tmp_path / "y"))
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize("size", [1000, BLOCK + 1000, 2**24])
@pytest.mark.parametrize("left", [0, 10])
def test_a_file_that_is_cut_short_in_the_storage_is_no_content(
    faulty_zone: Zone, tmp_path: Path, size: int, left: int
) -> None:
    fs = connect_to(faulty_zone, parallel_from=2**23)
    path, local = f"{fs.home}/x", tmp_path / "x"
    fs.pipe_file(path, bytes(size))
    faulty_zone.damage_file(path, bytes(left))

    def read_all() -> None:
        with fs.open(path, "rb") as file:
            file.read()

    reads = (
        lambda: fs.cat_file(path),
        lambda: fs.cat_file(path, 5, size - 5),
        lambda: fs.get_file(path, str(local)),
        read_all,
    )
    for read in reads:
        with pytest.raises(ContentMissing, match=f"of {size} bytes"):
            read()
    assert not list(tmp_path.glob("*x"))
    assert fs.cat_file(path, 0, left) == bytes(left)


def test_a_download_that_another_writes_over_is_begun_again(
    faulty_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = connect_to(faulty_zone)
    path, local = f"{fs.home}/x", tmp_path / "x"
    old, new = b"o" * (2 * BLOCK), b"n" * (2 * BLOCK)
    fs.pipe_file(path, old)
    read, reads = Descriptor.read_into, []

    def write_between(self: Descriptor, buffer: memoryview) -> int:
        done = read(self, buffer)
        reads.append(done)
        if len(reads) == 1:
            connect_to(faulty_zone).pipe_file(path, new)
        return done

    monkeypatch.setattr(Descriptor, "read_into", write_between)
    fs.get_file(path, str(local))
    assert local.read_bytes() == new
