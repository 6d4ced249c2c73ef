"""What is read and written through files."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from irods.access import iRODSAccess

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods.object_descriptors import BLOCK
from tests.irods.conftest import Connect
from tests.irods_zone.fixtures import AnyZone

few_examples = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and name.strip() == name)


def temporary_objects(fs: IrodsFileSystem, collection: str) -> list[str]:
    return [path for path in fs.find(collection) if "/.nds-" in path]


def test_a_file_is_read_from_anywhere(fs: IrodsFileSystem, irods_home: str) -> None:
    content = bytes(range(256)) * 40
    fs.pipe_file(f"{irods_home}/x", content)
    with fs.open(f"{irods_home}/x", "rb", block_size=1000) as file:
        assert file.size == len(content)
        assert file.read(10) == content[:10]
        assert file.seek(-10, 2) == len(content) - 10
        assert file.read() == content[-10:]
        file.seek(5_000)
        assert file.read(2_000) == content[5_000:7_000]
        file.seek(-1_000, 1)
        assert file.tell() == 6_000


@few_examples
@given(
    content=st.binary(max_size=300),
    start=st.one_of(st.none(), st.integers(-350, 350)),
    end=st.one_of(st.none(), st.integers(-350, 350)),
)
def test_a_range_is_what_a_slice_is(
    fs: IrodsFileSystem, irods_home: str, content: bytes, start: int | None, end: int | None
) -> None:
    fs.pipe_file(f"{irods_home}/x", content)
    assert fs.cat_file(f"{irods_home}/x", start, end) == content[start:end]


@few_examples
@given(parts=st.lists(st.binary(max_size=50), min_size=1, max_size=4))
def test_appending_adds_to_the_end(
    fs: IrodsFileSystem, irods_home: str, parts: list[bytes]
) -> None:
    path = f"{irods_home}/x"
    if fs.exists(path):
        fs.rm(path, trash=False)
    for part in parts:
        with fs.open(path, "ab") as file:
            file.write(part)
    assert fs.cat_file(path) == b"".join(parts)
    assert fs.info(path)["checksum"]
    assert not temporary_objects(fs, irods_home)


def test_appending_knows_where_it_is(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"12345")
    with fs.open(f"{irods_home}/x", "ab") as file:
        assert file.tell() == 5
        file.write(b"6")
        assert file.tell() == 6


@few_examples
@given(name=NAMES)
def test_any_name_comes_back(fs: IrodsFileSystem, irods_home: str, name: str) -> None:
    path = f"{irods_home}/{name}"
    fs.pipe_file(path, name.encode())
    assert fs.cat_file(path) == name.encode()
    assert path in fs.ls(irods_home, detail=False)
    assert fs.info(path)["size"] == len(name.encode())
    fs.rm_file(path)
    assert not fs.exists(path)


@pytest.mark.parametrize(
    "name", ["it's", 'a"b', "<&>", "a\\b", "100%_", "ü 中 🜁", " and 'x' = '", "a;b"]
)
def test_awkward_names_are_listed_found_and_renamed(
    fs: IrodsFileSystem, irods_home: str, name: str
) -> None:
    collection = f"{irods_home}/{name}"
    fs.mkdir(collection)
    fs.pipe_file(f"{collection}/{name}", b"1")
    assert fs.ls(collection, detail=False) == [f"{collection}/{name}"]
    assert fs.find(irods_home) == [f"{collection}/{name}"]
    assert [each.name for each in fs.ls_page(irods_home, q=name).entries] == [name]
    fs.mv(f"{collection}/{name}", f"{collection}/{name} 2")
    assert fs.ls(collection, detail=False) == [f"{collection}/{name} 2"]


def test_a_written_object_has_a_checksum(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"content")
    assert fs.info(f"{irods_home}/x")["checksum"] == fs.checksum(f"{irods_home}/x")
    first = fs.checksum(f"{irods_home}/x")
    fs.pipe_file(f"{irods_home}/x", b"other")
    assert fs.info(f"{irods_home}/x")["checksum"] not in (None, first)


def test_what_is_replaced_keeps_its_metadata(fs: IrodsFileSystem, irods_home: str) -> None:
    kept = Avu(name="project", value="nds", unit="u")
    fs.pipe_file(f"{irods_home}/x", b"one")
    fs.add_metadata(f"{irods_home}/x", [kept])
    fs.pipe_file(f"{irods_home}/x", b"two")
    assert fs.cat_file(f"{irods_home}/x") == b"two"
    assert fs.metadata(f"{irods_home}/x") == (kept,)


@pytest.fixture
def shared(fs: IrodsFileSystem, irods_zone: AnyZone, irods_home: str, connect: Connect) -> str:
    """Give an object that alice may write, in a collection where she may too."""
    connect("alice").exists(irods_home)
    fs.pipe_file(f"{irods_home}/x", b"one")
    fs.add_metadata(f"{irods_home}/x", [Avu(name="a", value="b")])
    with irods_zone.session() as session:
        for place in (irods_home, f"{irods_home}/x"):
            session.acls.set(iRODSAccess("write", place, "alice", fs.zone))
    return f"{irods_home}/x"


def test_what_is_replaced_stays_shared(fs: IrodsFileSystem, connect: Connect, shared: str) -> None:
    fs.pipe_file(shared, b"two")
    alice = connect("alice")
    assert alice.cat_file(shared) == b"two"
    alice.pipe_file(f"{shared}2", b"hers")
    # What is hers nobody else can remove.
    alice.rm_file(f"{shared}2", trash=False)


def test_what_may_be_written_but_not_renamed_is_written(
    fs: IrodsFileSystem, connect: Connect, shared: str
) -> None:
    before = fs.info(shared)["id"]
    alice = connect("alice")
    alice.pipe_file(shared, b"three")
    assert fs.cat_file(shared) == alice.cat_file(shared) == b"three"
    assert fs.info(shared)["id"] == before
    assert fs.metadata(shared) == (Avu(name="a", value="b"),)
    assert fs.info(shared)["checksum"]
    assert not temporary_objects(fs, shared.rpartition("/")[0])


def test_half_a_file_never_appears(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"before")

    def break_off() -> None:
        with fs.open(f"{irods_home}/x", "wb") as file:
            file.write(b"a" * (BLOCK + 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert fs.cat_file(f"{irods_home}/x") == b"before"
    assert not temporary_objects(fs, irods_home)


def test_nothing_appears_before_the_file_is_closed(fs: IrodsFileSystem, irods_home: str) -> None:
    with fs.open(f"{irods_home}/x", "wb") as file:
        file.write(b"a" * (BLOCK + 1))
        assert not fs.exists(f"{irods_home}/x")
    assert fs.info(f"{irods_home}/x")["size"] == BLOCK + 1


def test_a_transaction_commits_all_or_nothing(fs: IrodsFileSystem, irods_home: str) -> None:
    with fs.transaction:
        fs.pipe_file(f"{irods_home}/a", b"1")
        assert not fs.exists(f"{irods_home}/a")
    assert fs.cat_file(f"{irods_home}/a") == b"1"

    def break_off() -> None:
        with fs.transaction:
            fs.pipe_file(f"{irods_home}/b", b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert not fs.exists(f"{irods_home}/b")
    assert not temporary_objects(fs, irods_home)


def test_text_files_are_text(fs: IrodsFileSystem, irods_home: str) -> None:
    with fs.open(f"{irods_home}/x", "w", encoding="utf-8") as file:
        file.write("zwölf\nBoxkämpfer\n")
    with fs.open(f"{irods_home}/x", encoding="utf-8", mode="r") as file:
        assert list(file) == ["zwölf\n", "Boxkämpfer\n"]


def test_an_open_file_can_be_pickled(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"0123456789")
    with fs.open(f"{irods_home}/x", "rb") as file:
        file.seek(4)
        with pickle.loads(pickle.dumps(file)) as again:
            assert again.read() == b"456789"


def test_other_modes_are_refused(fs: IrodsFileSystem, irods_home: str) -> None:
    with pytest.raises(ValueError, match="r\\+b"):
        fs.open(f"{irods_home}/x", "r+b")


def test_touching_makes_or_only_dates(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.touch(f"{irods_home}/x")
    assert fs.info(f"{irods_home}/x")["size"] == 0
    fs.pipe_file(f"{irods_home}/x", b"content")
    fs.touch(f"{irods_home}/x", truncate=False)
    assert fs.cat_file(f"{irods_home}/x") == b"content"


def test_missing_collections_are_made_or_named(connect: Connect, irods_home: str) -> None:
    connect().pipe_file(f"{irods_home}/a/b/x", b"1")
    assert connect().cat_file(f"{irods_home}/a/b/x") == b"1"
    strict = connect(auto_mkdir=False)
    with pytest.raises(FileNotFoundError, match=f"no collection {irods_home}/c"):
        strict.pipe_file(f"{irods_home}/c/x", b"1")
