"""A real Docker Swarm of three nodes for the tests that are marked `swarm`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.swarm import Swarm, swarm


@pytest.fixture(scope="session")
def swarm_cluster() -> Iterator[Swarm]:
    """Give three nodes that have `nds/shell:test`; everything is removed at the end."""
    with swarm() as made:
        yield made
