"""What the server says of itself, and what it does not offer yet."""

from __future__ import annotations

from nds_jupyter.errors import NotOffered
from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.queries import ListDataQuery, NoQuery


class HealthHandler(NdsHandler):
    """Engine and journal: reachable, version, latency."""

    @allowed("read")
    async def get(self) -> None:
        """Answer 200 if all of it works, else 503."""
        self.query(NoQuery)
        health = await self.services.health.check()
        self.answer(health, 200 if health.engine.reachable and health.journal.reachable else 503)


class OpenapiHandler(NdsHandler):
    """The description of all routes."""

    @allowed("read")
    async def get(self) -> None:
        """Give the OpenAPI 3.1 document."""
        self.query(NoQuery)
        self.answer(self.services.openapi())


class ListDataHandler(NdsHandler):
    """The data root."""

    @allowed("read")
    async def get(self) -> None:
        """Say that it is not offered yet."""
        self.query(ListDataQuery)
        raise NotOffered("list_data: this version has no data root yet.")
