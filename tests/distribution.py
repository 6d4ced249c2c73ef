"""How the tests are shared out among the processes of a run (pytest-xdist).

The tests of a file stay together, so that a server, a browser or a kernel of a file starts once. So
do all tests on a Swarm, of which the machine then has one. What takes longest begins first, for no
process to have a long file left when the others are done.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadGroupScheduling

SWARM = "swarm"
LONGEST_FIRST = (
    "tests/swarm/",
    "tests/crash/",
    "tests/hub/",
    "tests/test_packaging.py",
    "tests/magics/",
    "tests/browser/",
)
"""What takes long, each before what takes less; the rest follows in the order of its names."""


class FileScheduling(LoadGroupScheduling):
    """Gives each process whole files, or a whole group of tests that is marked as one."""

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if group == nodeid else group


def arrange(items: list[pytest.Item]) -> None:
    """Sort the tests into the order in which they are given out; group those on a Swarm."""
    for item in items:
        if item.get_closest_marker("swarm"):
            item.add_marker(pytest.mark.xdist_group(SWARM))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("swarm"):
        return -1
    for number, folder in enumerate(LONGEST_FIRST):
        if item.nodeid.startswith(folder):
            return number
    return len(LONGEST_FIRST)
