"""Mounted and linked collections, of whose content the catalogue knows nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.data.input_plan import make_plan, read_entries
from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.jobs.job import Input
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api, Status
from tests.irods_zone.zone import Zone
from tests.roots import configure
from tests.zone.behaviour import special

CONTENTS = {"m.txt": b"mounted", "b [1].txt": b"22", "sub/n.txt": b"1", "sub/deep/x": b"xxx"}


@pytest.fixture
def own_fs(faulty_zone: Zone) -> Iterator[IrodsFileSystem]:
    made = connect_to(faulty_zone)
    yield made
    made.close()


@pytest.fixture(params=["mounted", "linked"])
def top(
    request: pytest.FixtureRequest, faulty_zone: Zone, own_fs: IrodsFileSystem, tmp_path: Path
) -> str:
    """Give a collection that shows a folder of the server's machine, or another collection."""
    home = faulty_zone.home()
    path = f"{home}/data/special"
    own_fs.makedirs(path)
    with faulty_zone.session() as session:
        if request.param == "linked":
            for name, content in CONTENTS.items():
                own_fs.pipe_file(f"{home}/real/{name}", content)
            special(session, path, f"{home}/real", "linkPoint")
        else:
            for name, content in CONTENTS.items():
                (tmp_path / "vault" / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "vault" / name).write_bytes(content)
            special(session, path, str(tmp_path / "vault"), "mountPoint", destRescName="demoResc")
    return path


def test_it_is_listed_and_described(own_fs: IrodsFileSystem, top: str) -> None:
    expected = [f"{top}/{name}" for name in ("b [1].txt", "m.txt", "sub")]
    assert own_fs.ls(top, detail=False) == expected
    for info in own_fs.ls(top):
        found = own_fs.info(info["name"])
        assert (found["type"], found["size"]) == (info["type"], info["size"])
    assert own_fs.info(f"{top}/m.txt")["size"] == 7
    assert own_fs.isdir(top)
    assert own_fs.isdir(f"{top}/sub")
    assert own_fs.isfile(f"{top}/sub/n.txt")
    assert not own_fs.exists(f"{top}/none")
    assert own_fs.ls(f"{top}/sub", detail=False) == [f"{top}/sub/deep", f"{top}/sub/n.txt"]
    with pytest.raises(FileNotFoundError, match=f"{top}/none"):
        own_fs.ls(f"{top}/none")
    with pytest.raises(NotADirectoryError):
        own_fs.ls_page(f"{top}/m.txt")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_it_is_paged(own_fs: IrodsFileSystem, top: str, limit: int) -> None:
    def paged(q: str) -> list[str]:
        seen, after = [], ""
        while after is not None:
            page = own_fs.ls_page(top, after, limit, q)
            assert len(page.entries) <= limit
            seen += [entry.name for entry in page.entries]
            after = page.next
        return seen

    assert paged("") == ["sub", "b [1].txt", "m.txt"]
    assert paged("b") == ["sub", "b [1].txt"]
    assert paged("none") == []


def test_it_is_read_with_the_tree_that_it_is_in(
    own_fs: IrodsFileSystem, top: str, tmp_path: Path
) -> None:
    files = sorted(f"{top}/{name}" for name in CONTENTS)
    assert own_fs.find(top) == files
    above = top.rpartition("/")[0]
    assert own_fs.find(above) == files
    assert own_fs.find(above, maxdepth=4) == files
    assert own_fs.find(f"{top}/sub") == [f"{top}/sub/deep/x", f"{top}/sub/n.txt"]
    assert own_fs.find(f"{top}/m.txt") == [f"{top}/m.txt"]
    own_fs.get(top, str(tmp_path / "got"), recursive=True)
    for name, content in CONTENTS.items():
        assert own_fs.cat_file(f"{top}/{name}") == content
        assert (tmp_path / "got" / name).read_bytes() == content


async def test_it_is_staged(
    faulty_zone: Zone, top: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(faulty_zone, tmp_path, monkeypatch)
    root = DataRoot(open_backend("irods://"))
    plan = await make_plan(root, (Input(path=top.rpartition("/")[0], to="/data"),), 100)
    staged: dict[str, bytes] = {}

    async def joined(content: AsyncIterator[bytes]) -> bytes:
        return b"".join([chunk async for chunk in content])

    async for planned, content in read_entries(root, plan):
        if not planned.entry.is_collection:
            staged[planned.target] = await joined(content)
    assert staged == {f"/data/special/{name}": data for name, data in CONTENTS.items()}
    assert plan.size == sum(map(len, CONTENTS.values()))
    await root.close()


def test_ordinary_paths_are_not_looked_for_there(
    faulty_zone: Zone, own_fs: IrodsFileSystem, top: str
) -> None:
    home, calls = faulty_zone.home(), faulty_zone.faults.calls
    own_fs.pipe_file(f"{home}/plain/x", b"1")
    calls.clear()
    own_fs.ls(f"{home}/plain")
    own_fs.ls_page(f"{home}/plain")
    own_fs.info(f"{home}/plain/x")
    own_fs.info(f"{home}/plain")
    own_fs.find(f"{home}/plain")
    own_fs.replicas(f"{home}/plain/x")
    assert not {Api.STAT, Api.OPEN_COLLECTION} & set(calls)


def test_what_the_server_can_not_list_is_said(
    faulty_zone: Zone, own_fs: IrodsFileSystem, top: str
) -> None:
    faulty_zone.faults.fail(Status.NO_PERMISSION, Api.OPEN_COLLECTION)
    with pytest.raises(OSError, match=f"{top} is in a (mounted|linked) collection, .* can't list"):
        own_fs.ls(top)
