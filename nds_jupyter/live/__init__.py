"""Live updates over WebSockets, one subscriber for each open page: jobs, logs, metrics, load."""

from __future__ import annotations

from nds_jupyter.live.broadcaster import Broadcaster
from nds_jupyter.live.subscriber import Subscriber

__all__ = ["Broadcaster", "Subscriber"]
