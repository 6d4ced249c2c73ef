"""Gives each node a share of the processors that is its own, as a machine of its own has."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from dev.console import SetupError
from dev.swarm_node import SwarmNode

CONTROLLER = Path("/sys/fs/cgroup/cpu")
"""Where cgroup v1 has it, which Debian's engine runs on here."""

PERIOD, QUOTA = 3000, 1000
"""Microseconds: an engine has a third of a processor; three of them leave one of two to others."""


@contextlib.contextmanager
def shares_of_their_own(nodes: Sequence[SwarmNode]) -> Iterator[None]:
    """Hold each node's engine to its share while the block runs.

    What an engine does then takes as long whether the others work or not.

    Raises
    ------
    SetupError
        If this machine has no such controller, or does not let it be used.
    """
    groups = [CONTROLLER / f"nds-{secrets.token_hex(4)}" for _ in nodes]
    pids = [node.pidfile.read_text() for node in nodes]
    try:
        for group, pid in zip(groups, pids, strict=True):
            _make(group)
            (group / "cgroup.procs").write_text(pid)
        yield
    except OSError as error:
        raise SetupError(f"Engines can't be held to a share of the processors: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            for pid in pids:
                (CONTROLLER / "cgroup.procs").write_text(pid)
            for group in groups:
                group.rmdir()


def _make(group: Path) -> None:
    group.mkdir()
    (group / "cpu.cfs_period_us").write_text(str(PERIOD))
    (group / "cpu.cfs_quota_us").write_text(str(QUOTA))
