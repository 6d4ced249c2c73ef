"""Trees of files: several at a time, each reported, and errors that name what failed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.codes import Api, Status
from tests.irods_zone.zone import Zone


class RecordingCallback(Callback):
    """Records its calls, and checks that one thread at a time makes them."""

    def __init__(self, in_use: threading.Lock | None = None) -> None:
        super().__init__()
        self.parts: dict[Any, RecordingCallback] = {}
        self.values: list[int] = []
        self.closed = False
        self._in_use = in_use or threading.Lock()

    def branched(self, path_1: Any, path_2: Any, **options: Any) -> RecordingCallback:
        with _ExclusiveUse(self._in_use):
            return self.parts.setdefault(path_1, RecordingCallback(self._in_use))

    def call(self, hook_name: str | None = None, **options: Any) -> None:
        with _ExclusiveUse(self._in_use):
            self.values.append(self.value)

    def close(self) -> None:
        self.closed = True


class _ExclusiveUse:
    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        assert self._lock.acquire(blocking=False), "called by two threads at the same time"
        time.sleep(0)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def make_files(folder: Path, number: int) -> dict[str, bytes]:
    content = {f"{each % 3}/{each:03d}": b"%d" % each * each for each in range(number)}
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return content


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(params=[1, 8], ids=["one at a time", "several at a time"])
def transferring(request: pytest.FixtureRequest, connect: Connect) -> IrodsFileSystem:
    return connect(files_at_once=request.param, parallel_from=2**20)


def test_every_file_is_transferred_and_reported(
    transferring: IrodsFileSystem, irods_home: str, tmp_path: Path
) -> None:
    content = make_files(tmp_path / "here", 40)
    content["0/large"] = os.urandom(2**20 + 1)
    (tmp_path / "here/0/large").write_bytes(content["0/large"])
    stored, fetched = RecordingCallback(), RecordingCallback()
    transferring.put(str(tmp_path / "here"), f"{irods_home}/there", recursive=True, callback=stored)
    transferring.get(
        f"{irods_home}/there", str(tmp_path / "back"), recursive=True, callback=fetched
    )
    assert files_in(tmp_path / "back") == content
    for recorder in (stored, fetched):
        # The three folders and the one that holds them are counted too.
        assert recorder.size == recorder.value == len(content) + 4
        assert recorder.values == sorted(recorder.values)
        assert all(part.closed for part in recorder.parts.values())
        sizes = {str(path)[-5:]: part.value for path, part in recorder.parts.items() if part.value}
        assert sizes == {name[-5:]: len(data) for name, data in content.items() if data}


def test_names_are_given_one_by_one_too(
    transferring: IrodsFileSystem, irods_home: str, tmp_path: Path
) -> None:
    content = make_files(tmp_path, 6)
    here = [str(tmp_path / name) for name in content]
    there = [f"{irods_home}/new/{name.replace('/', '-')}" for name in content]
    transferring.put(here, there)
    assert sorted(transferring.find(irods_home)) == sorted(there)
    back = [f"{each}.back" for each in here]
    transferring.get(there, back)
    assert [Path(each).read_bytes() for each in back] == list(content.values())
    transferring.get(f"{irods_home}/new/0-*", str(tmp_path / "some") + "/")
    assert sorted(files_in(tmp_path / "some")) == ["0-000", "0-003"]


def test_a_file_that_is_there_is_refused_by_name(
    transferring: IrodsFileSystem, irods_home: str, tmp_path: Path
) -> None:
    make_files(tmp_path / "here", 20)
    transferring.makedirs(f"{irods_home}/there/1")
    transferring.pipe_file(f"{irods_home}/there/1/007", b"before")
    with pytest.raises(FileExistsError, match=f"{irods_home}/there/1/007"):
        transferring.put(f"{tmp_path}/here/", f"{irods_home}/there", recursive=True, mode="create")


# With a zone of our own: what is under way at one time, and what breaks.


def wait_for(reached: Callable[[], bool], what: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end, what()
        time.sleep(0.01)


@pytest.mark.parametrize("at_once", [1, 4])
def test_as_many_are_moved_at_one_time_as_is_said(
    faulty_zone: Zone, tmp_path: Path, at_once: int
) -> None:
    fs = connect_to(faulty_zone, files_at_once=at_once)
    faulty_zone.fill(faulty_zone.home(), [f"{each:02d}" for each in range(12)], b"content")
    calls = faulty_zone.faults.calls
    faulty_zone.faults.stall(Api.READ, times=at_once)
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(fs.get, faulty_zone.home(), str(tmp_path / "back"), recursive=True)
        wait_for(lambda: calls.count(Api.READ) == at_once, lambda: f"{calls} were called")
        assert calls.count(Api.OPEN) == at_once
        faulty_zone.faults.clear()
        got.result()
    assert len(files_in(tmp_path / "back")) == 12
    fs.close()


@pytest.mark.parametrize("at_once", [1, 4])
def test_the_first_error_ends_it_and_names_the_object(
    faulty_zone: Zone, tmp_path: Path, at_once: int
) -> None:
    fs = connect_to(faulty_zone, files_at_once=at_once)
    names = [f"object-{each:03d}" for each in range(200)]
    faulty_zone.fill(faulty_zone.home(), names, b"content")
    faulty_zone.faults.fail(Status.NO_PERMISSION, Api.OPEN, nth=20)
    with pytest.raises(PermissionError, match=f"{faulty_zone.home()}/object-0"):
        fs.get(faulty_zone.home(), str(tmp_path / "back"), recursive=True)
    there = sorted(files_in(tmp_path / "back"))
    # What was begun is whole, and what was not begun is not there.
    assert 19 <= len(there) < 60
    assert set(there) <= set(names)
    fs.close()


def test_a_dropped_connection_is_made_again_for_every_file(
    faulty_zone: Zone, tmp_path: Path
) -> None:
    fs = connect_to(faulty_zone)
    content = make_files(tmp_path / "here", 30)
    for nth in (3, 9, 10):
        faulty_zone.faults.drop(Api.WRITE, nth=nth)
        faulty_zone.faults.drop(Api.READ, nth=nth)
    fs.put(str(tmp_path / "here"), f"{faulty_zone.home()}/there", recursive=True)
    fs.get(f"{faulty_zone.home()}/there", str(tmp_path / "back"), recursive=True)
    assert files_in(tmp_path / "back") == content
    assert not [name for name in fs.find(faulty_zone.home()) if ".nds-" in name]
    fs.close()
