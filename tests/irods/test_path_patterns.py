"""Names that look like patterns: what is there means itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods.path_patterns import pattern_of

ODD = ("a[1].csv", "q?.txt", "*", "[x]")
OTHERS = ("a1.csv", "qq.txt", "x", "plain")


@pytest.fixture
def there(fs: IrodsFileSystem, irods_home: str) -> str:
    for name in (*ODD, *OTHERS):
        fs.pipe_file(f"{irods_home}/{name}", name.encode())
    return irods_home


def names(fs: IrodsFileSystem, path: str) -> set[str]:
    return {each.rpartition("/")[2] for each in fs.find(path)}


@pytest.mark.parametrize("name", ODD)
def test_only_the_object_itself_is_removed(fs: IrodsFileSystem, there: str, name: str) -> None:
    fs.rm(f"{there}/{name}")
    assert names(fs, there) == {*ODD, *OTHERS} - {name}
    fs.pipe_file(f"{there}/{name}", b"1")
    fs.rm([f"{there}/{name}", f"{there}/plain"])
    assert names(fs, there) == {*ODD, *OTHERS} - {name, "plain"}


@pytest.mark.parametrize("name", ODD)
def test_only_the_object_itself_is_read(
    fs: IrodsFileSystem, there: str, name: str, tmp_path: Path
) -> None:
    path = f"{there}/{name}"
    assert fs.cat(path) == name.encode()
    assert fs.cat([path, f"{there}/plain"]) == {path: name.encode(), f"{there}/plain": b"plain"}
    assert fs.expand_path(path) == [path]
    assert fs.find(path) == [path]
    fs.get(path, str(tmp_path / "one"))
    assert (tmp_path / "one").read_bytes() == name.encode()
    (tmp_path / "folder").mkdir()
    fs.get(path, str(tmp_path / "folder"))
    fs.get([path, f"{there}/plain"], str(tmp_path / "list") + "/")
    assert [each.name for each in (tmp_path / "folder").iterdir()] == [name]
    assert {each.name for each in (tmp_path / "list").iterdir()} == {name, "plain"}


@pytest.mark.parametrize("name", ODD)
def test_only_the_object_itself_is_copied_and_moved(
    fs: IrodsFileSystem, there: str, name: str
) -> None:
    path = f"{there}/{name}"
    fs.mkdir(f"{there}/c")
    fs.cp(path, f"{there}/c/copy")
    fs.cp(path, f"{there}/c")
    fs.cp([path, f"{there}/plain"], f"{there}/c/list/")
    assert sorted(fs.find(f"{there}/c")) == sorted(
        f"{there}/c/{each}" for each in ("copy", name, f"list/{name}", "list/plain")
    )
    fs.mv(path, f"{there}/moved")
    assert fs.cat_file(f"{there}/moved") == name.encode()
    assert not fs.exists(path)
    assert {*OTHERS} <= names(fs, there)


@pytest.mark.parametrize("name", ODD)
def test_a_collection_is_itself_with_what_it_holds(
    fs: IrodsFileSystem, irods_home: str, name: str, tmp_path: Path
) -> None:
    odd, other = f"{irods_home}/{name}", f"{irods_home}/x1"
    for collection in (odd, other, f"{irods_home}/a1.csv", f"{irods_home}/qq.txt"):
        fs.pipe_file(f"{collection}/in", collection.encode())
    fs.get(odd, str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got/in").read_bytes() == odd.encode()
    fs.get(f"{odd}/i*", str(tmp_path / "some") + "/")
    assert (tmp_path / "some/in").read_bytes() == odd.encode()
    assert fs.expand_path(f"{odd}/*") == [f"{odd}/in"]
    fs.cp(odd, f"{irods_home}/copied", recursive=True)
    assert fs.cat_file(f"{irods_home}/copied/in") == odd.encode()
    fs.rm(odd, recursive=True)
    assert not fs.exists(odd)
    assert fs.exists(f"{other}/in")
    assert fs.exists(f"{irods_home}/a1.csv/in")


@pytest.mark.parametrize("name", ODD)
def test_local_names_are_themselves_too(
    fs: IrodsFileSystem, irods_home: str, name: str, tmp_path: Path
) -> None:
    for each in (*ODD, *OTHERS):
        (tmp_path / each).write_text(each)
    local = str(tmp_path / name)
    fs.put(local, f"{irods_home}/one")
    assert fs.cat_file(f"{irods_home}/one") == name.encode()
    fs.mkdir(f"{irods_home}/c")
    fs.put(local, f"{irods_home}/c")
    fs.put([local, str(tmp_path / "plain")], f"{irods_home}/c/list/")
    assert sorted(fs.find(f"{irods_home}/c")) == sorted(
        f"{irods_home}/c/{each}" for each in (name, f"list/{name}", "list/plain")
    )
    (tmp_path / "tree" / name).mkdir(parents=True)
    (tmp_path / "tree" / name / "in").write_text("1")
    fs.put(str(tmp_path / "tree" / name), f"{irods_home}/put", recursive=True)
    fs.put(f"{tmp_path}/tree/{name}/i*", f"{irods_home}/some/")
    assert fs.cat_file(f"{irods_home}/put/in") == b"1"
    assert fs.find(f"{irods_home}/some") == [f"{irods_home}/some/in"]


def test_what_is_not_there_is_a_pattern(fs: IrodsFileSystem, there: str) -> None:
    assert fs.expand_path(f"{there}/a[12].csv") == [f"{there}/a1.csv"]
    assert set(fs.expand_path(f"{there}/q*")) == {f"{there}/q?.txt", f"{there}/qq.txt"}
    fs.rm(f"{there}/p*")
    assert not fs.exists(f"{there}/plain")
    for nothing in (f"{there}/none[1]", f"{there}/none?", [f"{there}/none*"]):
        with pytest.raises(FileNotFoundError):
            fs.rm(nothing)


def test_a_pattern_begins_where_nothing_is_there() -> None:
    there = {"/z", "/z/[a]", "/z/[a]/b*"}
    assert pattern_of("/z/[a]", there.__contains__) is None
    assert pattern_of("/z/plain", there.__contains__) is None
    assert pattern_of("/z/[a]/b*/c?", there.__contains__) == "/z/[[]a]/b[*]/c?"
    assert pattern_of("/z/[b]/[a]", there.__contains__) == "/z/[b]/[a]"
