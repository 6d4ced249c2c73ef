"""The collections above the homes, which an ordinary user does not see in the catalogue."""

from __future__ import annotations

import pytest

from nds_jupyter.data.entries import Kind
from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods.conftest import Connect, connect_to
from tests.irods.test_listing import queries
from tests.irods_zone.zone import Zone


@pytest.fixture(params=[None, "nds-dora"], ids=["administrator", "user"])
def any_fs(request: pytest.FixtureRequest, connect: Connect) -> IrodsFileSystem:
    return connect(request.param)


def tops(fs: IrodsFileSystem) -> tuple[str, ...]:
    return ("/", f"/{fs.zone}", f"/{fs.zone}/home")


def test_all_of_them_are_collections(any_fs: IrodsFileSystem) -> None:
    for path in tops(any_fs):
        assert any_fs.exists(path)
        assert any_fs.isdir(path)
        assert not any_fs.isfile(path)
        assert any_fs.info(path)["type"] == "directory"
        assert any_fs.entry(path).kind is Kind.COLLECTION
        any_fs.makedirs(path, exist_ok=True)
        with pytest.raises(FileExistsError):
            any_fs.mkdir(path)


def test_each_holds_the_next_and_what_may_be_seen(any_fs: IrodsFileSystem) -> None:
    for above, path in zip(tops(any_fs), (*tops(any_fs)[1:], any_fs.home), strict=True):
        names = any_fs.ls(above, detail=False)
        assert path in names
        assert above not in names
        assert len(names) == len(set(names))
        for limit in (1, 2, 1000):
            seen, after = [], ""
            while after is not None:
                page = any_fs.ls_page(above, after, limit)
                assert len(page.entries) <= limit
                seen += [entry.path for entry in page.entries]
                after = page.next
            assert sorted(seen) == names
        part = path.rpartition("/")[2][1:]
        assert path in [each.path for each in any_fs.ls_page(above, q=part).entries]
        assert any_fs.ls_page(above, q="no such name").entries == ()


def test_a_walk_goes_down_to_the_home(connect: Connect) -> None:
    fs = connect("nds-dora")
    fs.pipe_file(f"{fs.home}/x", b"1")
    walked = {where: (dirs, files) for where, dirs, files in fs.walk("/")}
    assert walked["/"][0] == [fs.zone]
    assert "x" in walked[fs.home][1]
    assert f"{fs.home}/x" in fs.find("/")
    found = fs.find("/", withdirs=True)
    assert len(found) == len(set(found))
    assert {*tops(fs), fs.home, f"{fs.home}/x"} <= set(found)
    fs.rm(f"{fs.home}/x", trash=False)


def test_nobody_else_sees_more(connect: Connect) -> None:
    fs = connect("nds-dora")
    assert not fs.exists(f"/{fs.zone}/trash")
    for path in ("/noZone", f"/{fs.zone}/none", f"/{fs.zone}/home/nobody"):
        assert not fs.exists(path)
        with pytest.raises(FileNotFoundError, match=path):
            fs.ls(path)


def test_they_are_not_asked_for(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    for path in tops(fs):
        assert fs.isdir(path)
    assert queries(faulty_zone) == 0
    fs.close()
