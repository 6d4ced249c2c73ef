"""`Engine` over a Docker Swarm."""

from __future__ import annotations

from nds_jupyter.engines.swarm.engine import SwarmEngine
from nds_jupyter.engines.swarm.settings import SwarmSettings

__all__ = ["SwarmEngine", "SwarmSettings"]
