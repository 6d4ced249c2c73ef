"""`/deliver`: a selection of a container's paths into the data root."""

from __future__ import annotations

from nds_jupyter.handlers.base import allowed
from nds_jupyter.handlers.data import DataRootHandler
from nds_jupyter.handlers.results import in_container
from nds_jupyter.queries import DeliverRequest


class DeliverHandler(DataRootHandler):
    """Copies what was selected."""

    @allowed("write")
    async def post(self) -> None:
        """Give the objects that were written, once all of them are."""
        asked = self.arguments(DeliverRequest, lists=("paths",))
        to = self.services.data.logical(asked.to, "to")
        target = await self.target(asked)
        written = await self.services.handover.deliver(
            target.present_container(),
            [in_container(path) for path in asked.paths],
            to,
            overwrite=asked.overwrite,
        )
        self.answer([self.row(entry) for entry in written])
