"""What nodes and managers answer when many are asked, and what their refusals mean."""

from __future__ import annotations

import msgspec

from nds_jupyter.engines.swarm.node_engine import Membership, NodeEngine
from nds_jupyter.engines.swarm.tasks import Node
from nds_jupyter.errors import EngineError, NdsError

NO_MANAGER = "not a swarm manager"

_NOT_NOW = (
    NO_MANAGER,
    "does not have a leader",
    "no leader",
    "no elected cluster leader",
    "lost leader",
    "deadline exceeded",
    "needs to be unlocked",
    # The engine is ending or beginning, and its own manager does not listen; or the leader is gone,
    # and this one has not noticed.
    "code = Unavailable",
    "Error while dialing",
)


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the nodes said, by node id, and who said nothing.

    Parameters
    ----------
    silent
        How the sentence goes on that begins with the node's name.
    troubles
        What is known of why, as a sentence.
    """

    found: dict[str, object]
    silent: dict[str, str]
    troubles: dict[str, str]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """How nodes and endpoints are.

    Parameters
    ----------
    nodes
        As a manager has seen them last.
    members
        Which node each endpoint has said that it is, now or before.
    silent, troubles
        Of nodes that say nothing now; see `Answers`.
    strangers
        Why each endpoint is no node's, as a sentence.
    """

    nodes: tuple[Node, ...]
    members: dict[NodeEngine, Membership]
    silent: dict[str, str]
    troubles: dict[str, str]
    strangers: dict[NodeEngine, str]
    manager_answers: bool


def another_may_answer(error: EngineError) -> bool:
    """Whether a manager can't answer now, where another, or the same one later, may."""
    return any(words in error.message for words in _NOT_NOW)


def sentence(error: NdsError) -> str:
    """Return what an engine's silence means, in the words of this configuration."""
    return error.message.replace("c.NdsApp.engine_url", "c.NdsApp.endpoints")
