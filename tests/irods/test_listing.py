"""Listings: complete, in order, and with few queries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nds_jupyter.data.entries import Entry, Kind
from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone

few_examples = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def pages(fs: IrodsFileSystem, path: str, limit: int, q: str = "") -> Iterator[tuple[Entry, ...]]:
    after: str | None = ""
    while after is not None:
        page = fs.ls_page(path, after, limit, q)
        assert len(page.entries) <= limit
        yield page.entries
        after = page.next


@pytest.fixture
def mixed(fs: IrodsFileSystem, irods_home: str) -> str:
    for name in ("b", "d", "f"):
        fs.mkdir(f"{irods_home}/{name}")
    for name in ("a", "c", "e", "g", "h"):
        fs.pipe_file(f"{irods_home}/{name}", name.encode())
    return irods_home


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 8, 100])
def test_pages_hold_everything_once_collections_first(
    fs: IrodsFileSystem, mixed: str, limit: int
) -> None:
    seen = [entry for page in pages(fs, mixed, limit) for entry in page]
    assert [entry.name for entry in seen] == list("bdfacegh")
    assert [entry.name for entry in seen if entry.is_collection] == ["b", "d", "f"]
    assert all(entry.path == f"{mixed}/{entry.name}" for entry in seen)


def test_an_entry_says_what_there_is_to_know(fs: IrodsFileSystem, mixed: str) -> None:
    second, _, _, first, *_ = fs.ls_page(mixed).entries
    assert (first.kind, first.size) == (Kind.DATA_OBJECT, 1)
    assert first.checksum == fs.checksum(f"{mixed}/a")
    assert first.modified is not None
    assert abs(datetime.now(UTC) - first.modified) < timedelta(hours=1)
    assert (second.kind, second.size, second.checksum) == (Kind.COLLECTION, 0, None)


def test_a_page_begins_after_a_name_too(fs: IrodsFileSystem, mixed: str) -> None:
    assert [entry.name for entry in fs.ls_page(mixed, "d").entries] == list("fegh")


def test_a_page_can_be_narrowed_to_names_that_contain_a_text(
    fs: IrodsFileSystem, irods_home: str
) -> None:
    for name in ("run_1.csv", "run-1.csv", "ran", "50%", "a\\b", "it's"):
        fs.pipe_file(f"{irods_home}/{name}", b"")
    fs.mkdir(f"{irods_home}/run_")

    def names(q: str, limit: int = 100) -> list[str]:
        return [entry.name for page in pages(fs, irods_home, limit, q) for entry in page]

    assert sorted(names("run_")) == ["run_", "run_1.csv"]
    assert sorted(names("run", 1)) == ["run-1.csv", "run_", "run_1.csv"]
    assert names("%") == ["50%"]
    assert names("\\") == ["a\\b"]
    assert names("'") == ["it's"]
    assert names("none") == []


def test_an_empty_collection_is_not_a_missing_one(fs: IrodsFileSystem, irods_home: str) -> None:
    assert fs.ls_page(irods_home).entries == ()
    assert fs.ls(irods_home) == []
    with pytest.raises(FileNotFoundError, match=f"{irods_home}/none"):
        fs.ls_page(f"{irods_home}/none")
    with pytest.raises(FileNotFoundError, match=f"{irods_home}/none"):
        fs.ls(f"{irods_home}/none")


def test_a_page_of_an_object_is_an_error(fs: IrodsFileSystem, mixed: str) -> None:
    with pytest.raises(NotADirectoryError, match=f"{mixed}/a"):
        fs.ls_page(f"{mixed}/a")
    assert fs.ls(f"{mixed}/a", detail=False) == [f"{mixed}/a"]


def test_the_root_and_the_zone_are_collections(fs: IrodsFileSystem) -> None:
    assert fs.isdir("/")
    assert f"/{fs.zone}" in fs.ls("/", detail=False)
    assert "/" not in fs.ls("/", detail=False)
    assert f"/{fs.zone}/home" in [entry.path for entry in fs.ls_page(f"/{fs.zone}").entries]


def test_info_is_what_a_listing_says(fs: IrodsFileSystem, mixed: str) -> None:
    for each in fs.ls(mixed):
        assert fs.info(each["name"]) == each
    assert fs.info(f"{mixed}/a")["type"] == "file"
    assert fs.info(f"{mixed}/b")["type"] == "directory"
    assert fs.modified(f"{mixed}/a") == fs.info(f"{mixed}/a")["modified"]
    assert fs.created(f"{mixed}/a") <= fs.modified(f"{mixed}/a")


def test_the_key_changes_with_the_content(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"one")
    before = fs.ukey(f"{irods_home}/x")
    assert fs.ukey(f"{irods_home}/x") == before
    fs.pipe_file(f"{irods_home}/x", b"two")
    assert fs.ukey(f"{irods_home}/x") != before


@pytest.fixture
def tree(fs: IrodsFileSystem, irods_home: str) -> str:
    for path in ("a.csv", "one/b.csv", "one/two/c.csv", "one/two/d.txt", "one%/e.csv"):
        fs.pipe_file(f"{irods_home}/{path}", path.encode())
    fs.mkdir(f"{irods_home}/empty")
    return irods_home


def below(tree: str, found: list[str]) -> list[str]:
    return [path.removeprefix(tree) for path in found]


def test_everything_below_is_found(fs: IrodsFileSystem, tree: str) -> None:
    assert below(tree, fs.find(tree)) == [
        "/a.csv", "/one%/e.csv", "/one/b.csv", "/one/two/c.csv", "/one/two/d.txt"
    ]  # fmt: skip
    assert below(tree, fs.find(f"{tree}/one")) == ["/one/b.csv", "/one/two/c.csv", "/one/two/d.txt"]
    assert below(tree, fs.find(f"{tree}/one", withdirs=True))[:3] == [
        "/one",
        "/one/b.csv",
        "/one/two",
    ]
    assert fs.find(f"{tree}/a.csv") == [f"{tree}/a.csv"]
    assert fs.find(f"{tree}/none") == []
    assert below(tree, fs.find(tree, maxdepth=1)) == ["/a.csv"]
    assert fs.find(tree, detail=True)[f"{tree}/a.csv"] == fs.info(f"{tree}/a.csv")


def test_find_agrees_with_walk(fs: IrodsFileSystem, tree: str) -> None:
    walked = [f"{where}/{name}" for where, _, names in fs.walk(tree) for name in names]
    assert sorted(walked) == fs.find(tree)
    assert fs.du(tree) == sum(len(path) - len(tree) - 1 for path in walked)


def test_globs_are_expanded(fs: IrodsFileSystem, tree: str) -> None:
    assert below(tree, fs.glob(f"{tree}/*.csv")) == ["/a.csv"]
    assert below(tree, fs.glob(f"{tree}/one/**/*.csv")) == ["/one/b.csv", "/one/two/c.csv"]
    assert below(tree, fs.glob(f"{tree}/o*/[bc].csv")) == ["/one/b.csv"]


def test_replicas_are_told(fs: IrodsFileSystem, mixed: str) -> None:
    (replica,) = fs.replicas(f"{mixed}/a")
    assert (replica.number, replica.status, replica.size) == (0, "good", 1)
    assert replica.checksum == fs.checksum(f"{mixed}/a")
    assert replica.resource
    with pytest.raises(IsADirectoryError):
        fs.replicas(f"{mixed}/b")
    with pytest.raises(FileNotFoundError):
        fs.replicas(f"{mixed}/none")


@few_examples
@given(names=st.lists(st.text("ab'%_\\ é", min_size=1, max_size=4), unique=True, max_size=9))
def test_no_listing_loses_or_repeats_a_name(
    fs: IrodsFileSystem, irods_home: str, names: list[str]
) -> None:
    where = f"{irods_home}/{abs(hash(tuple(names)))}"
    fs.makedirs(where, exist_ok=True)
    for number, name in enumerate(names):
        if number % 2:
            fs.makedirs(f"{where}/{name}", exist_ok=True)
        else:
            fs.pipe_file(f"{where}/{name}", b"")
    paged = [entry.name for page in pages(fs, where, 2) for entry in page]
    assert sorted(paged) == sorted(names)
    assert sorted(path.rpartition("/")[2] for path in fs.ls(where, detail=False)) == sorted(names)


# With a zone of our own: another version, many objects, replicas, and what a listing costs.


@pytest.fixture(
    params=[((5, 0, 2), True), ((4, 2, 12), False), ((5, 0, 2), False)],
    ids=["genquery2", "genquery1", "new without genquery2"],
)
def own_fs(request: pytest.FixtureRequest, faulty_zone: Zone) -> Iterator[IrodsFileSystem]:
    faulty_zone.faults.version, faulty_zone.faults.genquery2 = request.param
    made = connect_to(faulty_zone)
    yield made
    made.close()


def queries(zone: Zone) -> int:
    return sum(each in (Api.GENQUERY1, Api.GENQUERY2) for each in zone.faults.calls)


def test_a_large_collection_is_paged_with_one_query_a_page(
    own_fs: IrodsFileSystem, faulty_zone: Zone
) -> None:
    home = faulty_zone.home()
    names = [f"object-{number:05d}'s" for number in range(1_203)]
    faulty_zone.fill(home, names)
    first = own_fs.ls_page(home, limit=100)
    assert [entry.name for entry in first.entries] == names[:100]
    seen, after = 100, first.next
    while after is not None:
        faulty_zone.faults.calls.clear()
        page = own_fs.ls_page(home, after, limit=300)
        # A batch of GenQuery1 that goes on is no new query; closing it is a call too.
        assert not faulty_zone.faults.genquery2 or queries(faulty_zone) == 1
        assert [entry.name for entry in page.entries] == names[seen : seen + 300]
        seen, after = seen + len(page.entries), page.next
    assert seen == len(names)
    assert len(own_fs.ls(home)) == len(names)
    assert len(own_fs.find(home)) == len(names)


def test_the_newest_good_replica_stands_for_the_object(
    own_fs: IrodsFileSystem, faulty_zone: Zone
) -> None:
    home = faulty_zone.home()
    faulty_zone.add_resource("second")
    for name in "abcde":
        own_fs.pipe_file(f"{home}/{name}", b"old")
    with faulty_zone.session() as session:
        for name in "abd":
            session.data_objects.replicate(f"{home}/{name}", resource="second")
        with session.data_objects.open(f"{home}/b", "w", rescName="second") as file:
            file.write(b"newer")
    assert [each.status for each in own_fs.replicas(f"{home}/b")] == ["stale", "good"]
    assert own_fs.info(f"{home}/b")["size"] == 5
    for limit in (1, 2, 3, 100):
        seen = [entry for page in pages(own_fs, home, limit) for entry in page]
        assert [(entry.name, entry.size) for entry in seen] == [
            ("a", 3), ("b", 5), ("c", 3), ("d", 3), ("e", 3)
        ]  # fmt: skip
    assert [each["size"] for each in own_fs.ls(home)] == [3, 5, 3, 3, 3]
    assert [each["size"] for each in own_fs.find(home, detail=True).values()] == [3, 5, 3, 3, 3]


def test_a_whole_tree_costs_a_few_queries(own_fs: IrodsFileSystem, faulty_zone: Zone) -> None:
    home = faulty_zone.home()
    for number in range(12):
        own_fs.pipe_file(f"{home}/{number % 4}/{number % 3}/x", b"1")
    faulty_zone.faults.calls.clear()
    assert len(own_fs.find(home)) == 12
    assert queries(faulty_zone) <= 4
