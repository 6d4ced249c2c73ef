"""Which nodes may run a job, in the words of Docker Swarm. Pure."""

from __future__ import annotations

import re

from nds_jupyter.errors import InvalidRequest, RefusedByPolicy

_CONSTRAINT = re.compile(
    r"(?:node\.(?:id|hostname|role|platform\.(?:os|arch)|labels\.[A-Za-z0-9][A-Za-z0-9._-]*)"
    r"|engine\.labels\.[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==|!=)\s*[A-Za-z0-9][A-Za-z0-9 ._:/+-]*"
)
"""SwarmKit's ``manager/constraint/constraint.go``."""


def node_constraints(
    given: tuple[str, ...] | str | None, *, chooses_nodes: bool
) -> tuple[str, ...]:
    """Return constraints that Swarm will understand.

    Parameters
    ----------
    given
        A text has one a line.
    chooses_nodes
        Whether there may be nodes to choose between.

    Raises
    ------
    InvalidRequest
        If one is no constraint.
    RefusedByPolicy
        If this server runs jobs on one engine.
    """
    lines = given.splitlines() if isinstance(given, str) else given or ()
    wanted = tuple(filter(None, map(str.strip, lines)))
    for each in wanted:
        if _CONSTRAINT.fullmatch(each) is None:
            raise InvalidRequest(
                f"constraint: {each!r} is none. Write it like node.labels.gpu==true or "
                "node.hostname!=node1."
            )
    if wanted and not chooses_nodes:
        raise RefusedByPolicy(
            "constraint: this server runs jobs on one engine, so there is no node to choose."
        )
    return wanted
