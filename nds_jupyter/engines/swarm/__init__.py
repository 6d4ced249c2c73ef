"""Many Docker Engines that form a Swarm, as one engine."""

from __future__ import annotations

from nds_jupyter.engines.swarm.engine import SwarmEngine
from nds_jupyter.engines.swarm_settings import SwarmSettings

__all__ = ["SwarmEngine", "SwarmSettings"]
