"""A node's engine whose list is asked for anew only where something has changed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from nds_jupyter.engines._sources import ACTIONS
from nds_jupyter.engines.base import (
    LABEL_JOB,
    ContainerSpec,
    ContainerSummary,
    EngineEvent,
)
from nds_jupyter.engines.swarm.kept_rows import KeptRows
from nds_jupyter.engines.swarm.node_engine import NodeEngine

CHANGES = ("create", "pause", "unpause", "rename", "stop", "restart", "health_status")
"""What changes a row beside the actions that everybody is told of."""


class HeardNode(NodeEngine):
    """One node's engine, whose rows are kept while somebody reads `events`.

    Parameters
    ----------
    base_url
        As for `DockerEngine`.
    **bounds
        As for `DockerEngine`.
    """

    _actions = (*ACTIONS, *CHANGES)

    def __init__(self, base_url: str | None = None, **bounds: Any) -> None:
        super().__init__(base_url, **bounds)
        self._rows = KeptRows(self._asked)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers that carry all these labels; those of jobs from kept rows."""
        if LABEL_JOB in labels and self._rows.listens:
            return await self._rows.fitting(labels, include_ended=include_ended)
        return await super().containers(labels, include_ended=include_ended)

    async def _asked(self, filters: Mapping[str, list[str]]) -> tuple[ContainerSummary, ...]:
        return await self._listed({"all": "1", "filters": json.dumps({**filters})})

    async def _connected_events(self, since: float | None) -> AsyncGenerator[EngineEvent, None]:
        try:
            async with contextlib.aclosing(super()._connected_events(since)) as events:
                async for event in events:
                    self._rows.hears(event.container_id, event.action)
                    if event.action not in CHANGES:
                        yield event
        finally:
            self._rows.hears_no_more()

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        container_id = await super().create(spec)
        with self._rows.changing(container_id):
            return container_id

    async def start(self, container_id: str) -> None:
        """Start a created container."""
        with self._rows.changing(container_id):
            await super().start(container_id)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        with self._rows.changing(container_id):
            await super().stop(container_id, grace)

    async def remove(self, container_id: str) -> None:
        """Remove a container, running or not."""
        with self._rows.changing(container_id):
            await super().remove(container_id)
