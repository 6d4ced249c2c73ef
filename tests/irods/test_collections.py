"""Collections that many make at the same time are made, whoever is first."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.connection import ConnectionLost
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

CLIENTS = 8


def at_once(actions: list[Callable[[], object]]) -> list[object]:
    """Run actions that begin at the same time; give what each returned or raised."""
    begin = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        begin.wait(timeout=60)
        try:
            return action()
        except OSError as exc:
            return exc

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


@pytest.mark.parametrize("separate", [False, True], ids=["threads", "clients"])
def test_all_make_the_same_nested_collections(
    fs: IrodsFileSystem, connect: Connect, irods_home: str, separate: bool
) -> None:
    clients = [connect() for _ in range(CLIENTS)] if separate else [fs] * CLIENTS
    for number in range(3):
        path = f"{irods_home}/{number}/a/b/c"
        make = partial(IrodsFileSystem.makedirs, path=path, exist_ok=True)
        made = at_once([partial(make, client) for client in clients])
        assert made == [None] * CLIENTS
        assert fs.isdir(path)


def test_all_write_into_nested_collections_that_are_not_there(
    fs: IrodsFileSystem, irods_home: str
) -> None:
    paths = [f"{irods_home}/z/{number % 2}/c/{number}" for number in range(2 * CLIENTS)]
    made = at_once([lambda path=path: fs.pipe_file(path, path.encode()) for path in paths])
    assert made == [None] * len(paths)
    assert fs.cat(paths) == {path: path.encode() for path in paths}


def test_many_files_of_a_tree_go_into_new_collections(
    fs: IrodsFileSystem, irods_home: str, tmp_path: Path
) -> None:
    names = [f"{number % 4}/{number % 3}/{number}" for number in range(24)]
    for name in names:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(name)
    fs.put([str(tmp_path / "tree" / name) for name in names], [f"{irods_home}/{n}" for n in names])
    assert fs.find(irods_home) == sorted(f"{irods_home}/{name}" for name in names)


def test_one_of_many_makes_a_collection_that_must_be_new(
    fs: IrodsFileSystem, connect: Connect, irods_home: str
) -> None:
    clients = [connect() for _ in range(CLIENTS)]
    made = at_once([lambda c=c: c.mkdir(f"{irods_home}/a/b") for c in clients])
    assert made.count(None) == 1
    assert {type(each) for each in made if each is not None} == {FileExistsError}


def test_collections_are_asked_for_one_by_one(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    fs.ls(fs.home)
    faulty_zone.faults.calls.clear()
    fs.makedirs(f"{fs.home}/a/b/c")
    assert faulty_zone.faults.calls.count(Api.CREATE_COLLECTION) == 3
    fs.makedirs(f"{fs.home}/a/b/c", exist_ok=True)
    assert faulty_zone.faults.calls.count(Api.CREATE_COLLECTION) == 3
    # None of it met an error of the server, so that no connection was given up.
    assert len(fs._session_holder.current().pool.idle) == 1


def test_a_lost_reply_does_not_make_a_new_collection_an_old_one(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)

    def make_and_drop() -> None:
        with faulty_zone.session() as session:
            session.collections.create(f"{fs.home}/a")
        raise ConnectionLost("the reply is lost")

    faulty_zone.faults._add(Api.CREATE_COLLECTION, 1, 1, make_and_drop)
    fs.mkdir(f"{fs.home}/a")
    assert fs.isdir(f"{fs.home}/a")
    with pytest.raises(FileExistsError):
        fs.mkdir(f"{fs.home}/a")


def test_an_object_is_not_a_place_for_collections(fs: IrodsFileSystem, irods_home: str) -> None:
    fs.pipe_file(f"{irods_home}/x", b"1")
    for path in (f"{irods_home}/x/a", f"{irods_home}/x/a/b"):
        with pytest.raises(NotADirectoryError, match=f"{irods_home}/x"):
            fs.makedirs(path)
        with pytest.raises(NotADirectoryError, match=f"{irods_home}/x"):
            fs.pipe_file(f"{path}/y", b"2")
    for make in (fs.mkdir, fs.makedirs, lambda path: fs.makedirs(path, exist_ok=True)):
        with pytest.raises(FileExistsError, match=f"{irods_home}/x"):
            make(f"{irods_home}/x")
    assert fs.cat_file(f"{irods_home}/x") == b"1"


def test_what_may_not_be_made_is_forbidden(
    fs: IrodsFileSystem, connect: Connect, irods_home: str
) -> None:
    other = connect("alice")
    for path in (f"{irods_home}/c", f"/{fs.zone}/c", f"/{fs.zone}/c/d", "/otherZone/c"):
        for make in (other.mkdir, lambda path: other.pipe_file(f"{path}/x", b"1")):
            with pytest.raises(PermissionError, match=path.rpartition("/")[0]) as refused:
                make(path)
            assert "errno" not in str(refused.value)
            assert "zone name" not in str(refused.value)


def test_a_tree_that_is_being_written_is_not_removed_and_says_so(
    fs: IrodsFileSystem, irods_zone: AnyZone, irods_home: str
) -> None:
    path = f"{irods_home}/c"
    fs.pipe_file(f"{path}/x", b"old")
    with irods_zone.session() as session, session.data_objects.open(f"{path}/x", "w") as file:
        file.write(b"new")
        with pytest.raises(OSError, match=f"{path} holds something that is being written") as busy:
            fs.rm(path, recursive=True, trash=False)
        assert busy.value.errno == errno.EBUSY
    fs.rm(path, recursive=True, trash=False)
    assert not fs.exists(path)
