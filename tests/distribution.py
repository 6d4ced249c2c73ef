"""How the tests are shared out among the processes of a run (pytest-xdist).

The tests of a file stay together, so that a server, a browser or a kernel of a file starts once. So
do all tests on the Swarm of a run. What takes longest begins first, for no process to have a long
file left when the others are done.

xdist's own groups (``--dist loadgroup``) are not used: they change the ids of tests, and pytest 9.2
does not let them.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling

SWARM = "the Swarm of the run"
OWN_SWARM = "tests/swarm/test_managers.py"
LONGEST_FIRST = (
    SWARM,
    OWN_SWARM,
    "tests/crash/",
    "tests/hub/",
    "tests/test_packaging.py",
    "tests/magics/",
    "tests/browser/",
)
"""What takes long, each before what takes less; the rest follows in the order of its names."""


def group(nodeid: str) -> str:
    """Return the group of a test: all that use the Swarm of the run, else all of its file."""
    path, _, name = nodeid.partition("::")
    if path == OWN_SWARM:
        return path
    on_swarm = path.startswith("tests/swarm/") or "[swarm" in name
    return SWARM if on_swarm or path == "tests/browser/test_placement.py" else path


class GroupScheduling(LoadFileScheduling):
    """Gives each process whole groups of tests, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def arrange(items: list[pytest.Item]) -> None:
    """Sort the tests into the order in which they are given out."""
    for item in items:
        if item.get_closest_marker("swarm") and group(item.nodeid) not in {SWARM, OWN_SWARM}:
            raise pytest.UsageError(
                f"{item.nodeid} uses the Swarm: name it in tests/distribution.py"
            )
    items.sort(key=lambda item: _turn(group(item.nodeid)))


def _turn(group_name: str) -> int:
    turns = (turn for turn, name in enumerate(LONGEST_FIRST) if group_name.startswith(name))
    return next(turns, len(LONGEST_FIRST))
