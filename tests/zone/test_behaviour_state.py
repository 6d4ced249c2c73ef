"""Calls that meet others, or a vault or database that differs, give what a real server gave."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.irods_zone.zone import Zone
from tests.zone.behaviour import write
from tests.zone.state_replay import StateReplay

# The client leaves the sockets of broken connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

HOME = "/tempZone/home/alice"

Begin = Callable[..., StateReplay]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begin a replay in a collection of its own, in a zone of its own."""
    replays: list[StateReplay] = []
    with Zone(tmp_path / "zone") as zone:
        for user in ("alice", "bob", "dora"):
            zone.home(user)
        zone.add_resource("resc2")
        zone.add_resource("resc3")

        def begin(name: str, *, user: str = "alice") -> StateReplay:
            collection = f"/tempZone/home/{user}/{name}"
            replays.append(StateReplay(zone, tmp_path, collection, user=user))
            return replays[-1]

        yield begin
        for each in replays:
            each.close()
        gc.collect()


@pytest.mark.parametrize(
    "scenario",
    ["open_for_write", "open_for_write_new", "open_for_write_rename", "open_for_read"],
)
def test_object_that_is_open(begin: Begin, scenario: str) -> None:
    replay = begin("ow7")
    replay.make(objects=("p", "q", "r", "k"))
    replay.run(scenario)


def test_object_with_two_replicas_that_is_open(begin: Begin) -> None:
    replay = begin("owr")
    replay.make(objects=("p", "q"))
    replay.maker.data_objects.replicate(f"{replay.collection}/p", resource="resc2")
    replay.run("open_for_write_replica")


@pytest.mark.parametrize(
    "scenario",
    [
        "rename_object_missing_parent",
        "rename_collection_missing_parent",
        "rename_collection_below_itself",
        "rename_existing_name",
        "rename_elsewhere",
        "rename_fails_blocks",
    ],
)
def test_rename_that_fails(begin: Begin, scenario: str) -> None:
    replay = begin("rf")
    replay.make(collections=("c/d", "taken"), objects=("x", "y", "w", "c/d/f"))
    replay.run(scenario)


@pytest.mark.parametrize("what", ["what", "not", "remove", "unlink"])
def test_half_of_a_rename_blocks_others(begin: Begin, what: str) -> None:
    replay = begin("rfb")
    replay.make(collections=("k",), objects=("x", "y", "w"))
    replay.run(f"rename_fails_blocks_{what}")


def test_rename_without_a_file(begin: Begin) -> None:
    replay = begin("rv")
    replay.make(objects=("gone", "gone2", "kept"))
    for name in ("gone", "gone2"):
        replay.zone.lose_file(f"{replay.collection}/{name}")
    replay.run("rename_vault_file_missing")


def test_rename_without_the_file_of_one_replica(begin: Begin) -> None:
    replay = begin("rv2")
    replay.make(objects=("two", "three"))
    for number, name in enumerate(("two", "three")):
        path = f"{replay.collection}/{name}"
        replay.maker.data_objects.replicate(path, resource="resc2")
        replay.zone.lose_file(path, replica=number)
    replay.beside = {
        f"catalogue: {name}": lambda name=name, paths=paths: assert_rows(replay, name, paths)
        for name, paths in {
            "two9": ("two9 repl 0 /vault/home/alice/rv2/two", "two9 repl 1 /vault/resc2/"),
            "three9": ("three9 repl 0 /vault/home/alice/rv2/three9", "three9 repl 1 /vault/resc2/"),
        }.items()
    }
    replay.run("rename_vault_file_missing_replica")


def assert_rows(replay: StateReplay, name: str, starts: tuple[str, ...]) -> None:
    rows = [row.replace(" status 1 size 4", "") for row in replay.rows(name)]
    assert len(rows) == len(starts)
    assert all(row.startswith(start) for row, start in zip(rows, starts, strict=True)), rows


def test_vault_differs(begin: Begin) -> None:
    replay = begin("rp")
    content = b"0123456789" * 1000
    for name in ("wrong", "short", "long", "gone", "gone2", "gone3"):
        write(replay.maker, f"{replay.collection}/{name}", content, regChksum="")
    write(replay.maker, f"{replay.collection}/r", b"one\n")
    zone, path = replay.zone, replay.collection
    zone.damage_file(f"{path}/wrong", b"w" * len(content))
    zone.damage_file(f"{path}/short", content[:10])
    zone.damage_file(f"{path}/long", content + b"more")
    for name in ("gone", "gone2", "gone3"):
        zone.lose_file(f"{path}/{name}")
    replay.run("vault_differs")


def test_vault_of_one_replica_differs(begin: Begin) -> None:
    replay = begin("rp")
    replay.beside["vault file of replica 0"] = lambda: replay.zone.lose_file(
        f"{replay.collection}/two", replica=0
    )
    replay.run("vault_differs_replica")


def test_writers_that_were_killed(begin: Begin) -> None:
    replay = begin("il")
    replay.make(objects=("over",))
    for number, name in ((2, "new"), (3, "over")):
        path = f"{replay.collection}/{name}"
        replay.beside[f"agent of connection {number}"] = lambda path=path: kill(replay, path)
    replay.run("intermediate_left")
    replay.run("intermediate_left_admin")


def kill(replay: StateReplay, path: str) -> None:
    replay.zone.kill_writers(path)


@pytest.mark.parametrize("scenario", ["db_restarted", "db_restarted_writes"])
def test_database_is_restarted(begin: Begin, scenario: str) -> None:
    replay = begin("dbr")
    replay.make(objects=("f", "g", "h", "k", *(("held",) if "writes" in scenario else ())))
    replay.beside["PostgreSQL restarted"] = replay.zone.restart_database
    replay.run(scenario)


def test_database_is_down(begin: Begin) -> None:
    replay = begin("dbd")
    replay.make(objects=("f", "g", "h"))
    write(replay.maker, f"{replay.collection}/f", b"second\n")
    replay.beside["PostgreSQL stopped"] = replay.zone.stop_database
    replay.beside["PostgreSQL started"] = replay.zone.start_database
    replay.run("db_down")


def test_resource_is_not_there_or_down(begin: Begin) -> None:
    replay = begin("re")
    replay.make(objects=("x", "y"))
    write(replay.maker, f"{replay.collection}/r2", b"one\n", destRescName="resc2")
    replay.beside["resc2 was set down"] = lambda: replay.zone.set_resource("resc2", is_up=False)
    replay.run("resource_errors")


def test_default_resource_is_down(begin: Begin) -> None:
    replay = begin("dd")
    replay.make(objects=("x", "y"))
    replay.beside["demoResc was set down"] = lambda: replay.zone.set_resource(
        "demoResc", is_up=False
    )
    replay.beside["demoResc was set up"] = lambda: replay.zone.set_resource("demoResc", is_up=True)
    replay.run("resource_down")


def test_quota_is_used_up(begin: Begin) -> None:
    replay = begin("q", user="dora")
    replay.make(objects=("x",))
    replay.zone.exceed_quota("dora")
    replay.run("quota")
