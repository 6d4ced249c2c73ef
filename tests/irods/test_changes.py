"""Making, copying, renaming and removing."""

from __future__ import annotations

import pytest

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem


def trash_of(fs: IrodsFileSystem) -> str:
    return f"/{fs.zone}/trash{fs.home.removeprefix(f'/{fs.zone}')}"


def test_collections_are_made(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.mkdir(f"{irods_home}/a")
    assert fs.isdir(f"{irods_home}/a")
    with pytest.raises(FileExistsError, match=f"{irods_home}/a"):
        fs.mkdir(f"{irods_home}/a")
    with pytest.raises(FileNotFoundError):
        fs.mkdir(f"{irods_home}/b/c", create_parents=False)
    fs.makedirs(f"{irods_home}/b/c")
    fs.makedirs(f"{irods_home}/b/c", exist_ok=True)
    with pytest.raises(FileExistsError):
        fs.makedirs(f"{irods_home}/b/c")
    fs.pipe_file(f"{irods_home}/x", b"")
    with pytest.raises(FileExistsError):
        fs.mkdir(f"{irods_home}/x")
    with pytest.raises(FileExistsError):
        fs.makedirs(f"{irods_home}/x", exist_ok=True)


def test_only_an_empty_collection_is_removed_without_saying_so(
    fs: IrodsFileSystem, irods_home: str
) -> None:
    fs.pipe_file(f"{irods_home}/a/x", b"")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir(f"{irods_home}/a")
    with pytest.raises(IsADirectoryError):
        fs.rm(f"{irods_home}/a")
    with pytest.raises(IsADirectoryError):
        fs.rm_file(f"{irods_home}/a")
    fs.rm_file(f"{irods_home}/a/x")
    fs.rmdir(f"{irods_home}/a")
    assert not fs.exists(f"{irods_home}/a")


def test_what_is_not_there_cant_be_removed(fs: IrodsFileSystem, irods_home: str) -> None:
    for remove in (fs.rm, fs.rm_file, fs.rmdir):
        with pytest.raises(FileNotFoundError, match=f"{irods_home}/none"):
            remove(f"{irods_home}/none")


@pytest.mark.parametrize("recursive", [False, True])
def test_removing_for_good_leaves_no_trash(
    fs: IrodsFileSystem, irods_home: str, recursive: bool
) -> None:
    name = irods_home.rpartition("/")[2]
    trashed = f"{trash_of(fs)}/{name}"
    fs.pipe_file(f"{irods_home}/a/x", b"1")
    fs.rm(f"{irods_home}/a" if recursive else f"{irods_home}/a/x", recursive, trash=False)
    assert not fs.exists(trashed)
    fs.pipe_file(f"{irods_home}/a/x", b"1")
    fs.rm(f"{irods_home}/a" if recursive else f"{irods_home}/a/x", recursive, trash=True)
    assert not fs.exists(f"{irods_home}/a/x")
    assert [path.rpartition("/")[2] for path in fs.find(trashed)] == ["x"]
    fs.rm(trashed, recursive=True, trash=False)


def test_several_are_removed_at_once(fs: IrodsFileSystem, irods_home: str) -> None:
    for name in ("a1", "a2", "b"):
        fs.pipe_file(f"{irods_home}/{name}", b"")
    fs.rm(f"{irods_home}/a*")
    assert fs.ls(irods_home, detail=False) == [f"{irods_home}/b"]


def test_a_copy_has_content_and_checksum(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"content")
    fs.cp(f"{irods_home}/x", f"{irods_home}/y")
    assert fs.cat_file(f"{irods_home}/y") == b"content"
    assert fs.info(f"{irods_home}/y")["checksum"] == fs.info(f"{irods_home}/x")["checksum"]
    fs.pipe_file(f"{irods_home}/z", b"other")
    fs.cp(f"{irods_home}/z", f"{irods_home}/y")
    assert fs.cat_file(f"{irods_home}/y") == b"other"
    with pytest.raises(FileNotFoundError):
        fs.cp(f"{irods_home}/none", f"{irods_home}/y")


def test_an_object_moves_with_all_it_has(fs: IrodsFileSystem, irods_home: str) -> None:
    avu = Avu(name="a", value="b")
    fs.pipe_file(f"{irods_home}/x", b"content")
    fs.set_metadata(f"{irods_home}/x", [avu])
    before = fs.info(f"{irods_home}/x")
    fs.mv(f"{irods_home}/x", f"{irods_home}/y")
    assert not fs.exists(f"{irods_home}/x")
    assert fs.info(f"{irods_home}/y")["id"] == before["id"]
    assert fs.metadata(f"{irods_home}/y") == (avu,)
    fs.mkdir(f"{irods_home}/c")
    fs.mv(f"{irods_home}/y", f"{irods_home}/c")
    assert fs.cat_file(f"{irods_home}/c/y") == b"content"


def test_an_object_takes_the_place_of_another(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"new")
    fs.pipe_file(f"{irods_home}/y", b"old")
    fs.set_metadata(f"{irods_home}/y", [Avu(name="of", value="old")])
    fs.mv(f"{irods_home}/x", f"{irods_home}/y")
    assert fs.cat_file(f"{irods_home}/y") == b"new"
    assert fs.metadata(f"{irods_home}/y") == ()
    assert fs.ls(irods_home, detail=False) == [f"{irods_home}/y"]


def test_a_collection_moves_whole(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/a/b/x", b"1")
    fs.mv(f"{irods_home}/a", f"{irods_home}/c", recursive=True)
    assert fs.find(irods_home) == [f"{irods_home}/c/b/x"]
    fs.mkdir(f"{irods_home}/d")
    fs.mv(f"{irods_home}/c", f"{irods_home}/d", recursive=True)
    assert fs.find(irods_home) == [f"{irods_home}/d/c/b/x"]


def test_what_is_not_there_cant_be_moved(fs: IrodsFileSystem, irods_home: str) -> None:
    with pytest.raises(FileNotFoundError):
        fs.mv(f"{irods_home}/none", f"{irods_home}/x")
    fs.pipe_file(f"{irods_home}/x", b"1")
    with pytest.raises(FileNotFoundError):
        fs.mv(f"{irods_home}/x", f"{irods_home}/none/y")
    assert fs.cat_file(f"{irods_home}/x") == b"1"


def test_a_collection_is_not_replaced_by_an_object(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/a/x", b"1")
    with pytest.raises(IsADirectoryError):
        fs.pipe_file(f"{irods_home}/a", b"2")
    assert fs.find(irods_home) == [f"{irods_home}/a/x"]
