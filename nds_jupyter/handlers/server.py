"""Routes about the server itself: health, load, OpenAPI document."""

from __future__ import annotations

from nds_jupyter.handlers.base_handler import NdsHandler, allowed
from nds_jupyter.rest.queries import NoQuery


class HealthHandler(NdsHandler):
    """Engine, journal and data root: reachable, version, latency."""

    @allowed("read")
    async def get(self) -> None:
        """Respond 200 if all of it works, else 503."""
        self.decode_query(NoQuery)
        health = await self.services.health.check(self.owner)
        parts = (health.engine, health.journal, health.catalogue)
        well = all(part is None or part.reachable for part in parts)
        self.send_json(health, 200 if well else 503)


class LoadHandler(NdsHandler):
    """Load of the engine."""

    @allowed("read")
    async def get(self) -> None:
        """Send the counts of the owner's jobs, and the resources of the engine."""
        self.decode_query(NoQuery)
        self.send_json(await self.services.load.measure(self.owner))


class OpenapiHandler(NdsHandler):
    """The OpenAPI document."""

    @allowed("read")
    async def get(self) -> None:
        """Send the OpenAPI 3.1 document."""
        self.decode_query(NoQuery)
        self.send_json(self.services.openapi())
