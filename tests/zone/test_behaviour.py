"""Calls in a zone of ours give what they gave on a real server."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from irods import exception
from irods.session import iRODSSession
from irods.ticket import Ticket

from tests.irods_zone.zone import HOST, Zone
from tests.zone.behaviour import calls, outcome, outcome_here, write
from tests.zone.recorder import Recorder
from tests.zone.transcripts import FOLDER, by_connection, recorded

# The client leaves the sockets of refused connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

USERS = ("alice", "bob", "amy", "carol", "dora")
HOME = "/tempZone/home/alice"
# A real server's connection tells the old state once more after this; ours doesn't.
UNMOUNTED = "special(r, P, '', 'unmount')"
LEAKED = 0.2
"""How long is waited for connections to end: the client forgets those that broke."""

_SUPPLIED = re.compile(r"(\w+) = session of bob with ticket '(\w+)' supplied")

Names = dict[str, Any]


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Zone]:
    with Zone(tmp_path / "zone") as zone:
        for user in USERS:
            zone.home(user)
        with zone.session() as rods:
            rods.groups.create("lab")
            for user in ("alice", "bob", "amy"):
                rods.groups.addmember("lab", user)
        yield zone


@pytest.fixture
def names(zone: Zone, tmp_path: Path) -> Iterator[Names]:
    """Give the names that calls use: sessions by users, and files to put."""
    (tmp_path / "one").write_bytes(b"one\n")
    (tmp_path / "two").write_bytes(b"second\n")
    names: Names = {user: zone.session(user) for user in ("rods", *USERS)}
    names |= {"ONE": str(tmp_path / "one"), "TWO": str(tmp_path / "two")}
    names |= {"a": names["alice"], "b": names["bob"], "r": names["rods"]}
    yield names
    for each in names.values():
        if hasattr(each, "cleanup"):
            each.cleanup()
    gc.collect()


def replay(
    zone: Zone,
    names: Names,
    scenario: str,
    *,
    folder: Path = Path("/vault/mnt"),
    last: str = "",
) -> None:
    """Make the calls of a scenario and compare what each gives."""
    made, expected = [], []
    with Recorder((HOST, zone.port), closing=LEAKED).serving() as recorder:
        connect_to(names, recorder.port)
        for each in calls(scenario, folder):
            if found := _SUPPLIED.match(each.note):
                names[found[1]] = zone.session("bob", port=recorder.port)
                Ticket(names[found[1]], found[2]).supply()
            if each.call and "get_sql(" not in each.call:
                made.append(f"{each.call} => {outcome_here(each, names)}")
                expected.append(f"{each.call} => {outcome(each)}")
                if each.call == last:
                    break
        connect_to(names, zone.port)
        recorder.stop()
    assert made == expected
    if (FOLDER / f"{scenario}.jsonl").exists():
        assert_same_messages(recorder, scenario, folder)


def connect_to(names: Names, port: int) -> None:
    """End all connections; the next ones are to another port."""
    for each in names.values():
        if isinstance(each, iRODSSession):
            each.cleanup()
            each.pool.account.port = port
    gc.collect()  # The client disconnects only when nothing refers to the connection any more.


def assert_same_messages(recorder: Recorder, scenario: str, folder: Path) -> None:
    """Compare what passed on each connection, up to where ours ends."""
    own, theirs = by_connection(recorder.messages), by_connection(recorded(scenario))
    for ours, there in zip(own, theirs, strict=False):
        shown = [each.replace(str(folder), "/vault/mnt") for each in _without_end(ours)]
        assert shown == _without_end(there)[: len(shown)]
    assert own


def _without_end(messages: list[str]) -> list[str]:
    return [each for each in messages if not each.startswith("client: RODS_DISCONNECT")]


def collection(names: Names, path: str) -> str:
    """Make the collection of a scenario."""
    names["C"] = path
    names["alice"].collections.create(path)
    return path


def test_rows_come_once_for_each_way_that_leads_to_them(zone: Zone, names: Names) -> None:
    collection(names, f"{HOME}/shared")
    replay(zone, names, "genquery2_duplicates")


def test_grammar_of_queries(zone: Zone, names: Names) -> None:
    path, alice = collection(names, f"{HOME}/gq"), names["alice"]
    for name, size in {"a": 1, "b": 20, "c": 100, "d": 3}.items():
        write(alice, f"{path}/{name}", bytes(size))
    alice.collections.create(f"{path}/sub")
    for name, value in (("a", "1"), ("a", "2"), ("b", "1")):
        alice.data_objects.get(f"{path}/{name}").metadata.add("k", value)
    replay(zone, names, "genquery2_grammar")


def test_columns_of_queries(zone: Zone, names: Names) -> None:
    replay(zone, names, "genquery2_columns")


def test_administrator_acts_for_a_user(zone: Zone, names: Names) -> None:
    path = collection(names, f"{HOME}/px")
    write(names["alice"], f"{path}/x", b"one\n")
    acting = {"user": "rods", "client_user": "alice"}
    names |= {
        "p": zone.session(**acting),
        "bob": zone.session("bob", client_user="alice"),
        "none": zone.session(user="rods", client_user="nobody"),
        "wrong": zone.session(**acting, password="wrong"),
        "otherzone": zone.session(**acting, client_zone="otherZone"),
    }
    replay(zone, names, "proxy_user")


def test_user_sees_nothing_above_homes(zone: Zone, names: Names) -> None:
    names["dora"].collections.create("/tempZone/home/dora/q")
    replay(zone, names, "root_user")


def test_administrator_sees_all_above_homes(zone: Zone, names: Names) -> None:
    replay(zone, names, "root_admin")


def test_folder_is_mounted_on_a_collection(zone: Zone, names: Names, tmp_path: Path) -> None:
    folder = tmp_path / "mnt"
    (folder / "sub").mkdir(parents=True)
    (folder / "m.txt").write_bytes(b"mounted")
    (folder / "sub" / "n.txt").write_bytes(b"n")
    special_collection(names, "m")
    replay(zone, names, "mounted_collection", folder=folder, last=UNMOUNTED)


def test_collection_is_a_link_to_another_one(zone: Zone, names: Names) -> None:
    special_collection(names, "l")
    replay(zone, names, "linked_collection", last=UNMOUNTED)


def special_collection(names: Names, name: str) -> None:
    """Make an empty collection, and one with an object and a collection beside it."""
    rods, parent = names["rods"], "/tempZone/home/rods/mt"
    names |= {"C": parent, "P": f"{parent}/{name}"}
    rods.collections.create(f"{parent}/{name}")
    rods.collections.create(f"{parent}/real/sub")
    write(rods, f"{parent}/real/o", b"one\n")
    write(rods, f"{parent}/real/sub/p", b"second\n")


ODD_NAMES = ["dataA", "data\\x41", "it's", "x' || 'y", "100%", "a_b", "axb", "100x", "back\\slash"]
ODD_NAMES += ['dq"dq', "tab\there", "\u00fc", "u\u0308"]


@pytest.mark.parametrize("scenario", ["odd_names", "odd_names_genquery1"])
def test_odd_names_in_both_languages(zone: Zone, names: Names, scenario: str) -> None:
    path = collection(names, f"{HOME}/od3")
    for size, name in enumerate(ODD_NAMES, 1):
        with contextlib.suppress(exception.CAT_SQL_ERR):
            write(names["alice"], f"{path}/{name}", b"z" * size)
    replay(zone, names, scenario)


def test_order_is_a_languages(zone: Zone, names: Names) -> None:
    path, alice = collection(names, f"{HOME}/or"), names["alice"]
    alice.collections.create(f"{path}/all")
    listed = [
        "a.",
        "A",
        "_d",
        "~",
        "0",
        "c",
        "ä",
        "a",
        "B",
        "-x",
        ".h",
        "a b",
        "ab",
        "Z",
        "10",
        "9",
    ]
    for name in listed:
        write(alice, f"{path}/all/{name}", b"")
        if name in ("~", "9", "a", "A", "a b", "c", "-x", "Z"):
            alice.collections.create(f"{path}/{name}")
        else:
            write(alice, f"{path}/{name}", b"")
    replay(zone, names, "order")


def test_errors_for_want_of_permission(zone: Zone, names: Names) -> None:
    path = collection(names, f"{HOME}/pe")
    for name in ("x", "y"):
        write(names["alice"], f"{path}/{name}", b"one\n")
    replay(zone, names, "permission_errors")


def test_errors_of_collections(zone: Zone, names: Names) -> None:
    path, alice = collection(names, f"{HOME}/pe"), names["alice"]
    for name in ("full", "empty"):
        alice.collections.create(f"{path}/{name}")
    for name in ("full/o", "x", "y", "y2"):
        write(alice, f"{path}/{name}", b"one\n")
    replay(zone, names, "collection_errors")


def test_errors_of_metadata(zone: Zone, names: Names) -> None:
    path = collection(names, f"{HOME}/pe")
    for name in ("y", "y2"):
        write(names["alice"], f"{path}/{name}", b"one\n")
    replay(zone, names, "metadata_errors")


@pytest.mark.parametrize(
    "scenario",
    [
        "tickets_uses",
        "tickets_refused",
        "tickets_write",
        "tickets_limit_of_writes",
        "tickets_collection",
    ],
)
def test_tickets(zone: Zone, names: Names, scenario: str) -> None:
    path, alice = collection(names, f"{HOME}/tk"), names["alice"]
    alice.collections.create(f"{path}/sub")
    for name in ("t", "w", "w2", "sub/u"):
        write(alice, f"{path}/{name}", b"one\n")
    names["bobfree"] = names["bob"]
    replay(zone, names, scenario)


def test_replicas_on_two_resources(zone: Zone, names: Names) -> None:
    collection(names, f"{HOME}/rp")
    zone.add_resource("resc2")
    replay(zone, names, "replicas_two_resources")


def test_replicas_in_a_tree_of_resources(zone: Zone, names: Names) -> None:
    collection(names, f"{HOME}/rp")
    zone.add_resource("replResc", kind="replication")
    for name in ("resc7", "resc8"):
        zone.add_resource(name, parent="replResc")
    replay(zone, names, "replicas_hierarchy")
