"""Calls in a zone of ours give what they gave on a real server."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from irods.ticket import Ticket

from tests.irods_zone.zone import Zone
from tests.zone.behaviour import calls, outcome, outcome_here, write

# The client leaves the sockets of refused connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

USERS = ("alice", "bob", "amy", "carol", "dora")
HOME = "/tempZone/home/alice"
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


def replay(zone: Zone, names: Names, scenario: str) -> None:
    """Make the calls of a scenario and compare what each gives."""
    made, expected = [], []
    for each in calls(scenario):
        if found := _SUPPLIED.match(each.note):
            names[found[1]] = zone.session("bob")
            Ticket(names[found[1]], found[2]).supply()
        if each.call and "get_sql(" not in each.call:
            made.append(f"{each.call} => {outcome_here(each, names)}")
            expected.append(f"{each.call} => {outcome(each)}")
    assert made == expected


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
