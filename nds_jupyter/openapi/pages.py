"""The routes that pages need, as the OpenAPI document describes them."""

from __future__ import annotations

from nds_jupyter import engine_views, queries, routes, views
from nds_jupyter.openapi.operations import Operation

_LOOKING = (409, 410, 502, 503, 504)
_ARCHIVES = ("application/x-tar", "application/gzip", "application/zip")

PAGE_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        verb="get",
        path=routes.EVENTS,
        summary="WebSocket: what a page is told while it is open (docs/events.md)",
        query=queries.EventsQuery,
        status=101,
        errors=(503,),
    ),
    Operation(
        verb="get",
        path=routes.LOAD,
        summary="How busy the engine is",
        answer=engine_views.LoadView,
    ),
    Operation(
        verb="get",
        path=routes.SCRIPT,
        summary="Script of a job",
        query=queries.JobQuery,
        media=("text/plain",),
        errors=(409,),
    ),
    Operation(
        verb="get",
        path=routes.LIST_RESULTS,
        summary="What a folder of a job's results holds",
        query=queries.ListResultsQuery,
        answer=list[engine_views.ResultRow],
        errors=_LOOKING,
    ),
    Operation(
        verb="get",
        path=routes.ARCHIVE,
        summary="Several paths of a container as one archive",
        query=queries.ArchiveQuery,
        media=_ARCHIVES,
        errors=_LOOKING,
    ),
    Operation(
        verb="post",
        path=routes.ARCHIVE,
        summary="Several paths of a container as one archive",
        body=queries.ArchiveQuery,
        media=_ARCHIVES,
        errors=_LOOKING,
    ),
    *(
        Operation(
            verb=verb,
            path=routes.FILE,
            summary="A file that was sent for jobs" if verb == "get" else "Whether a file is here",
            media=("application/octet-stream",),
        )
        for verb in ("get", "head")
    ),
    Operation(
        verb="put",
        path=routes.FILE,
        summary="Send a file for jobs, by the SHA-256 of its content",
        status=201,
        answer=views.FileView,
        takes="application/octet-stream",
        errors=(413, 502, 504, 507),
    ),
    Operation(
        verb="post",
        path=routes.DELIVER,
        summary="Copy paths of a container into the data root",
        body=queries.DeliverRequest,
        answer=list[views.DataRow],
        errors=(*_LOOKING, 413, 507),
    ),
)
