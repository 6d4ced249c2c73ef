"""Calls that meet others, or a vault or database that differs, give what a real server gave."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from irods import exception
from irods.session import iRODSSession

from tests.irods_zone.codes import Between
from tests.irods_zone.zone import Zone
from tests.zone.behaviour import write
from tests.zone.state_replay import StateReplay
from tests.zone.test_faults import wait_until

# The client leaves the sockets of broken connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

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
    replay = begin("owm")
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
        f"catalogue: {name}": partial(assert_rows, replay, name, paths)
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
    zone.damage_file(f"{path}/wrong", b"WRONG" + content[5:])
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
        replay.beside[f"agent of connection {number}"] = partial(replay.zone.kill_writers, path)
    replay.run("intermediate_left")
    replay.run("intermediate_left_admin")


@pytest.mark.parametrize("scenario", ["db_restarted", "db_restarted_writes"])
def test_database_is_restarted(begin: Begin, scenario: str) -> None:
    replay = begin("dbr")
    replay.make(objects=("f", "g", "h", "k", *(("held",) if "writes" in scenario else ())))
    replay.beside["PostgreSQL restarted"] = replay.zone.restart_database
    replay.run(scenario)


def test_database_is_down(begin: Begin) -> None:
    replay = begin("dbr")
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


def test_renames_one_after_another(begin: Begin) -> None:
    replay = begin("rr")
    replay.make(objects=("p", "q"))
    for left in ("o45.a45.old", "o73.a73.old"):
        (replay.vault_folder() / left).write_bytes(b"one\n")
    replay.run("rename_race")


def test_renames_at_once_lose_a_file(begin: Begin) -> None:
    """One finds the object, and moves the file that has come to its path meanwhile.

    Both renames of the object answer 0, and the new one, whose row is good, has no file.
    """
    replay = begin("rr")
    replay.make(objects=("o31",))
    path = f"{replay.collection}/o31"
    parts = {name: f"{path}.{name}31.part" for name in "abc"}
    for part in parts.values():
        write(replay.maker, part, b"second\n")
    slow, quick = replay.S("alice"), replay.S("alice")
    replay.zone.faults.stall(Between.FOUND_AND_RENAMED)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow.data_objects.move, path, f"{path}.b31.old")
        wait_until(lambda: replay.zone.faults.stalled == 1)
        quick.data_objects.move(path, f"{path}.a31.old")
        quick.data_objects.move(parts["c"], path)
        replay.zone.faults.clear()
        waiting.result()
    with pytest.raises(exception.CAT_NO_ROWS_FOUND):
        quick.data_objects.unlink(f"{path}.a31.old", force=True)
    quick.data_objects.unlink(f"{path}.b31.old", force=True)
    # Which files are left over depends on who was when where.
    replay.run("rename_race_at_once", but=("replace(", "vault()"))


def test_collections_made_at_once(begin: Begin) -> None:
    """Who loses gets 0, and finds that the lower ones are not there yet."""
    replay = begin("nc")
    path = f"{replay.collection}/r41"
    replay.make(collections=())
    slow, quick = replay.S("alice"), replay.S("alice")
    slow.collections.get(replay.collection)
    replay.zone.faults.stall(Between.COLLECTIONS_FOUND_AND_MADE)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow.collections.create, f"{path}/d/e/f")
        wait_until(lambda: replay.zone.faults.stalled == 1)
        quick.collections.create(path, recurse=False)
        replay.zone.faults.clear()
        with pytest.raises(exception.CollectionDoesNotExist):
            waiting.result()
    quick.collections.create(f"{path}/d/e/f")
    replay.names["C"] = path
    replay.run("nested_create_race", but=("a.collections", "b.collections", "c.", "d."))


def test_collections_made_step_by_step(begin: Begin) -> None:
    replay = begin("nc")
    path = f"{replay.collection}/s31"
    makers = [replay.S("alice") for _ in range(4)]

    def make(session: iRODSSession) -> list[str]:
        outcomes = []
        for below in ("", "/d", "/d/e", "/d/e/f"):
            try:
                session.collections.create(path + below, recurse=False)
                outcomes.append("ok")
            except exception.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME:
                outcomes.append("there")
        return outcomes

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, makers))
    assert [sorted(each) for each in zip(*made, strict=True)] == [["ok", *["there"] * 3]] * 4
    replay.names["C"] = path
    replay.run("nested_create_race_stepwise", but=("a:", "b:", "c:", "d:"))
