"""What a catalogue tells more than once, in an order of its own, or under names with escapes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from irods.access import iRODSAccess

from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods.catalogue_queries import (
    REPLICA_COLUMNS,
    Condition,
    Query,
    collections_from_rows,
    genquery2_text,
    replicas_from_rows,
)
from tests.irods.conftest import Connect
from tests.irods_zone.fixtures import AnyZone

NAMES = ("~", "0", "10", "9", "a", "a.", "A", "ä", "a b", "ab", "B", "c", "_d", ".h", "-x", "Z")


USERS = ("nds-alice", "nds-bob")


def paged(fs: IrodsFileSystem, path: str, limit: int, q: str = "") -> list[str]:
    seen, after = [], ""
    while after is not None:
        page = fs.ls_page(path, after, limit, q)
        assert len(page.entries) <= limit
        seen += [entry.name for entry in page.entries]
        after = page.next
    return seen


@pytest.fixture
def group(irods_zone: AnyZone) -> Iterator[str]:
    name = f"nds-lab-{uuid.uuid4().hex[:8]}"
    for user in USERS:
        irods_zone.home(user)
    with irods_zone.session() as session:
        session.groups.create(name)
        try:
            for user in USERS:
                session.groups.addmember(name, user)
            yield name
        finally:
            session.groups.remove(name)


@pytest.fixture
def shared(irods_zone: AnyZone, irods_home: str, group: str) -> str:
    """Give a collection of which every entry is shared with two groups and a user."""
    with irods_zone.session() as session:
        paths = [irods_home, *(f"{irods_home}/{name}" for name in "xyz")]
        for path in paths[1:]:
            session.collections.create(path)
        for name in "abcde":
            with session.data_objects.open(f"{irods_home}/{name}", "w") as file:
                file.write(name.encode())
            paths.append(f"{irods_home}/{name}")
        for path in paths:
            for who in (group, "public", USERS[0]):
                session.acls.set(iRODSAccess("read", path, who))
    return irods_home


@pytest.mark.parametrize("user", [None, *USERS])
def test_what_is_shared_with_many_is_listed_once(
    connect: Connect, shared: str, user: str | None
) -> None:
    fs = connect(user)
    expected = [f"{shared}/{name}" for name in "abcdexyz"]
    assert fs.ls(shared, detail=False) == expected
    assert sorted(fs.find(shared, withdirs=True)) == [shared, *expected]
    for limit in (1, 2, 3, 100):
        assert paged(fs, shared, limit) == list("xyzabcde")
    assert len(fs.replicas(f"{shared}/a")) == 1
    assert [each.number for each in fs.replicas(f"{shared}/a")] == [0]
    # No page is cut short by rows of the same object.
    assert len(fs.ls_page(shared, limit=6).entries) == 6


def test_rows_that_come_more_than_once_are_one() -> None:
    row = ("/z/c", "01700000000", "10", "", "01700000000")
    other = ("/z/d", "01700000000", "11", "", "01700000000")
    assert [each.path for each in collections_from_rows([row, row, other, row])] == ["/z/c", "/z/d"]
    replica = ("0", "repl;disk7", "1", "4", "", "01700000000")
    end = ("0", "disk7", "1", "4", "", "01700000000")
    second = ("1", "repl;disk8", "1", "4", "", "01700000000")
    (first, last) = replicas_from_rows([second, end, replica, replica])
    assert (first.number, first.resource) == (0, "repl;disk7")
    assert (last.number, last.resource) == (1, "repl;disk8")


def test_every_query_wants_distinct_rows_and_selects_what_it_orders_by() -> None:
    query = Query(
        select=REPLICA_COLUMNS,
        where=(Condition("DATA_NAME", "=", r"it's \x41"),),
        order=("DATA_REPL_NUM",),
        limit=3,
        zone="z",
    )
    assert genquery2_text(query) == (
        f"select distinct {', '.join(REPLICA_COLUMNS)} "
        r"where DATA_NAME = 'it''s \x5cx41' order by DATA_REPL_NUM limit 3"
    )


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_keep_the_order_of_the_catalogue(
    fs: IrodsFileSystem, irods_home: str, limit: int
) -> None:
    for name in NAMES:
        fs.mkdir(f"{irods_home}/c{name}")
        fs.pipe_file(f"{irods_home}/{name}", b"")
    whole = paged(fs, irods_home, 1000)
    assert sorted(whole[: len(NAMES)]) == sorted(f"c{name}" for name in NAMES)
    assert sorted(whole[len(NAMES) :]) == sorted(NAMES)
    assert paged(fs, irods_home, limit) == whole
    assert paged(fs, irods_home, limit, q="a") == [name for name in whole if "a" in name]


def test_backslashes_in_names_are_themselves(fs: IrodsFileSystem, irods_home: str) -> None:
    contents = {"dataA": b"1", r"data\x41": b"22", r"back\slash": b"333", r"two\\": b"4444"}
    for name, content in contents.items():
        fs.pipe_file(f"{irods_home}/{name}", content)
        fs.mkdir(f"{irods_home}/c{name}")
        fs.pipe_file(f"{irods_home}/c{name}/{name}", content)
    for name, content in contents.items():
        for path in (f"{irods_home}/{name}", f"{irods_home}/c{name}/{name}"):
            assert fs.info(path)["size"] == len(content)
            assert fs.cat_file(path) == content
        assert fs.isdir(f"{irods_home}/c{name}")
        assert fs.find(f"{irods_home}/c{name}") == [f"{irods_home}/c{name}/{name}"]
        assert paged(fs, f"{irods_home}/c{name}", 2, q=name) == [name]
    assert sorted(paged(fs, irods_home, 3, q="\\x41")) == [r"cdata\x41", r"data\x41"]
    fs.rm(rf"{irods_home}/data\x41")
    assert fs.cat_file(f"{irods_home}/dataA") == b"1"


UNNAMEABLE = ["x' || 'y", "a'||b", "it's && more"]
"""The server's own queries read these as several conditions."""


@pytest.mark.parametrize("name", UNNAMEABLE)
def test_names_that_no_query_can_carry_are_refused_before_they_are_made(
    fs: IrodsFileSystem, irods_home: str, name: str, tmp_path: Path
) -> None:
    local = tmp_path / name
    local.write_bytes(b"1")
    fs.pipe_file(f"{irods_home}/x", b"1")
    path = f"{irods_home}/{name}"
    changes: list[Callable[[], object]] = [
        lambda: fs.pipe_file(path, b"1"),
        lambda: fs.mkdir(path),
        lambda: fs.makedirs(f"{path}/c", exist_ok=True),
        lambda: fs.put(str(local), path),
        lambda: fs.put(str(tmp_path), f"{irods_home}/tree", recursive=True),
        lambda: fs.mv(f"{irods_home}/x", path),
        lambda: fs.cp(f"{irods_home}/x", path),
        lambda: fs.touch(path),
    ]
    for change in changes:
        with pytest.raises(OSError, match="no query of iRODS can name it"):
            change()
    assert fs.find(irods_home, withdirs=True) == [irods_home, f"{irods_home}/x"]
    assert not fs.exists(path)


@pytest.mark.parametrize("name", ["a||b", "it's", "&&", "o'clock"])
def test_names_that_only_look_like_that_are_taken(
    fs: IrodsFileSystem, irods_home: str, name: str
) -> None:
    path = f"{irods_home}/{name}"
    fs.pipe_file(path, b"12")
    assert fs.info(path)["size"] == 2
    fs.mv(path, f"{path}2")
    assert fs.cat_file(f"{path}2") == b"12"
    fs.rm(f"{path}2", trash=False)
    assert not fs.exists(f"{path}2")
