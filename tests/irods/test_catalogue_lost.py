"""A restart of the zone's database: what was begun is repeated, or said not to be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem, ZoneUnavailable
from nds_jupyter.data.irods.object_descriptors import BLOCK
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone

LARGE = bytes(range(256)) * (BLOCK // 256 + 1)
AVU = Avu(name="a", value="b")

Operation = Callable[[IrodsFileSystem, str], object]

OPERATIONS: dict[str, tuple[Operation, object]] = {
    "list": (lambda fs, home: fs.ls(home, detail=False), ["c", "x"]),
    "list a tree": (lambda fs, home: fs.find(home), ["c/y", "x"]),
    "describe": (lambda fs, home: fs.info(f"{home}/x")["size"], 1),
    "read": (lambda fs, home: fs.cat_file(f"{home}/x"), b"1"),
    "make a collection": (lambda fs, home: fs.mkdir(f"{home}/d/e"), None),
    "write": (lambda fs, home: fs.pipe_file(f"{home}/new", b"2"), None),
    "write over": (lambda fs, home: fs.pipe_file(f"{home}/x", b"2"), None),
    "write much": (lambda fs, home: fs.pipe_file(f"{home}/x", LARGE), None),
    "copy": (lambda fs, home: fs.cp_file(f"{home}/x", f"{home}/z"), None),
    "move": (lambda fs, home: fs.mv(f"{home}/x", f"{home}/z"), None),
    "move a collection": (lambda fs, home: fs.mv(f"{home}/c", f"{home}/z"), None),
    "remove": (lambda fs, home: fs.rm(f"{home}/x"), None),
    "remove for good": (lambda fs, home: fs.rm(f"{home}/x", trash=False), None),
    "remove a collection": (lambda fs, home: fs.rm(f"{home}/c", recursive=True), None),
    "checksum": (lambda fs, home: fs.checksum(f"{home}/x")[:5], "sha2:"),
    "metadata": (lambda fs, home: fs.metadata(f"{home}/c/y"), (AVU,)),
    "add metadata": (lambda fs, home: fs.add_metadata(f"{home}/x", [AVU]), None),
    "replace metadata": (lambda fs, home: fs.set_metadata(f"{home}/c/y", []), None),
    "replicas": (lambda fs, home: len(fs.replicas(f"{home}/x")), 1),
    "touch": (lambda fs, home: fs.touch(f"{home}/x", truncate=False), None),
}


def use_connections(fs: IrodsFileSystem, count: int = 3) -> None:
    """Leave that many idle connections, each of which has used the catalogue."""
    files = [fs.open(f"{fs.home}/x", "rb") for _ in range(count)]
    for file in files:
        file.close()


@pytest.mark.parametrize(("operation", "expected"), OPERATIONS.values(), ids=OPERATIONS)
def test_what_is_asked_after_a_restart_is_done(
    faulty_zone: Zone, operation: Operation, expected: object
) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"1")
    fs.pipe_file(f"{fs.home}/c/y", b"3")
    fs.add_metadata(f"{fs.home}/c/y", [AVU])
    use_connections(fs)
    faulty_zone.restart_database()
    assert without_home(operation(fs, fs.home), fs.home) == expected
    # Nothing is left that answers with what is not true.
    for _ in range(4):
        assert fs.exists(fs.home)
        with pytest.raises(FileNotFoundError):
            fs.cat_file(f"{fs.home}/none")
        fs.makedirs(f"{fs.home}/after", exist_ok=True)


def without_home(result: object, home: str) -> object:
    if isinstance(result, list):
        return [str(each).removeprefix(f"{home}/") for each in result]
    return result


def test_a_write_whose_end_the_catalogue_missed_is_not_done(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    path = f"{fs.home}/x"
    fs.pipe_file(path, b"old")
    file = fs.open(path, "wb")
    file.write(LARGE)
    assert file._temporary
    faulty_zone.restart_database()
    began = time.monotonic()
    with pytest.raises(ZoneUnavailable, match=f"{path}: .* lost its catalogue"):
        file.close()
    assert time.monotonic() - began < 30
    assert fs.cat_file(path) == b"old"
    fs.pipe_file(path, LARGE)
    assert fs.cat_file(path) == LARGE


def test_a_reader_goes_on_after_a_restart(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", bytes(range(200)))
    with fs.open(f"{fs.home}/x", "rb", block_size=10) as file:
        start = file.read(50)
        faulty_zone.restart_database()
        assert start + file.read() == bytes(range(200))


def test_a_database_that_is_down_is_waited_for(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone, patience=60.0)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.stop_database()
    with ThreadPoolExecutor(3) as pool:
        asked = [
            pool.submit(fs.cat_file, f"{fs.home}/x"),
            pool.submit(fs.ls, fs.home),
            pool.submit(fs.mkdir, f"{fs.home}/c"),
        ]
        for each in asked:
            with pytest.raises(TimeoutError):
                each.result(timeout=0.5)
        faulty_zone.start_database()
        assert asked[0].result(timeout=60) == b"1"
        assert asked[2].result(timeout=60) is None


def test_a_database_that_stays_down_makes_the_zone_unavailable(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone, patience=0.5)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.stop_database()
    for ask in (fs.cat_file, fs.ls, fs.mkdir, fs.rm, fs.metadata):
        with pytest.raises(ZoneUnavailable):
            ask(f"{fs.home}/x")


def test_what_a_sound_catalogue_refuses_is_not_repeated(faulty_zone: Zone) -> None:
    faulty_zone.add_user("bob", "password-of-bob")
    fs, owner = connect_to(faulty_zone, "bob"), connect_to(faulty_zone, "alice")
    fs.ls(fs.home)
    faulty_zone.faults.calls.clear()
    with pytest.raises(PermissionError):
        fs.mkdir(f"{owner.home}/c", create_parents=False)
    assert faulty_zone.faults.calls.count(Api.CREATE_COLLECTION) == 1
