"""Images and containers: lists, information, differences, metrics."""

from __future__ import annotations

from nds_jupyter.handlers.base import NdsHandler, allowed
from nds_jupyter.queries import ContainersQuery, DiffQuery, InfoQuery, NoQuery, TargetQuery


class ListImagesHandler(NdsHandler):
    """Images that a job may use."""

    @allowed("read")
    async def get(self) -> None:
        """Give them all."""
        self.query(NoQuery)
        self.answer(await self.services.reports.images())


class ListContainerHandler(NdsHandler):
    """The owner's containers."""

    @allowed("read")
    async def get(self) -> None:
        """Give a page of them, newest first."""
        query = self.query(ContainersQuery)
        rows = await self.services.reports.rows(self.owner, include_ended=query.all)
        self.answer_page(rows, query.limit, query.cursor)


class InfoHandler(NdsHandler):
    """What the engine knows of containers."""

    @allowed("read")
    async def get(self) -> None:
        """Give one container, or a page of them by last use."""
        query = self.query(InfoQuery)
        if query.cont_id is not None:
            self.answer(await self.services.reports.container(self.owner, query.cont_id))
            return
        views = await self.services.reports.last_used(self.owner)
        self.answer_page(views, query.limit, query.cursor)


class DiffHandler(NdsHandler):
    """What a container changed on its filesystem."""

    @allowed("read")
    async def get(self) -> None:
        """Give a page of changed paths."""
        query = self.query(DiffQuery)
        target = await self.target(query)
        rows = await self.services.reports.diff(target)
        page = self.page_of(rows, query.limit, query.cursor)
        self.answer(await self.services.results.measured(target, page))


class MetricHandler(NdsHandler):
    """What a container uses and used."""

    @allowed("read")
    async def get(self) -> None:
        """Give the newest sample, the history and the container."""
        target = await self.target(self.query(TargetQuery))
        self.answer(await self.services.reports.metric(target))
