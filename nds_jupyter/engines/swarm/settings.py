"""Settings of a Swarm."""

from __future__ import annotations

import msgspec


class SwarmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of a Swarm.

    Parameters
    ----------
    endpoints
        The nodes' engines: URLs, or names of Docker contexts.
    certificates
        Folder of ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tcp://`` endpoints; empty for none.
    constraints
        What every job's node must fulfil.
    gpu_resource
        What the nodes call a GPU in their ``node-generic-resources``.
    node_deadline
        Seconds after which a node that says nothing is left out of an answer about all nodes.
    lost_after
        Seconds for which a node may be down before what ran there is given up.
    """

    endpoints: tuple[str, ...] = ()
    certificates: str = ""
    constraints: tuple[str, ...] = ()
    gpu_resource: str = "gpu"
    node_deadline: float = 3.0
    lost_after: float = 30.0
