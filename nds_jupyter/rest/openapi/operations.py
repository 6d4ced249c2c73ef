"""Operations of the REST API as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

import msgspec

from nds_jupyter.data.entries import Avu, Replica
from nds_jupyter.rest import queries, routes, views
from nds_jupyter.rest import views as engine_views


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One verb of one route.

    Parameters
    ----------
    body
        Type of the request's JSON body.
    takes
        Media type of a request's body that is not JSON.
    also
        Other statuses of the same answer.
    answer
        Type of the JSON body; None where it is not JSON.
    media
        Other media types of the answer.
    errors
        Statuses beyond 400, 401, 403 and 404.
    """

    verb: str
    path: str
    summary: str
    query: type = queries.NoQuery
    body: Any = None
    takes: str = ""
    status: int = 200
    also: tuple[int, ...] = ()
    answer: Any = None
    media: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()


_DATA = (502, 504)

DATA_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        verb="get",
        path=routes.LIST_DATA,
        summary="Data stored in the data root",
        query=queries.ListDataQuery,
        answer=list[views.DataRow],
        errors=(409, *_DATA),
    ),
    *(
        Operation(
            verb=verb,
            path=routes.DATA,
            summary="Content of an object" if verb == "get" else "Description of an object",
            media=("application/octet-stream",),
            errors=(409, 412, 416, *_DATA),
        )
        for verb in ("get", "head")
    ),
    Operation(
        verb="put",
        path=routes.DATA,
        summary="Upload an object, of any size",
        status=201,
        also=(200,),
        answer=views.DataRow,
        takes="application/octet-stream",
        errors=(409, 412, 413, 507, *_DATA),
    ),
    Operation(
        verb="delete",
        path=routes.DATA,
        summary="Remove an object or a collection",
        query=queries.DataRemoveQuery,
        status=204,
        errors=(409, 412, *_DATA),
    ),
    Operation(
        verb="post",
        path=routes.DATA,
        summary="Make a collection, or move what is there",
        query=queries.DataPostQuery,
        status=201,
        also=(200,),
        answer=views.DataRow,
        errors=(409, *_DATA),
    ),
    Operation(
        verb="get",
        path=routes.METADATA,
        summary="AVUs of an object or collection",
        answer=tuple[Avu, ...],
        errors=(501, *_DATA),
    ),
    Operation(
        verb="put",
        path=routes.METADATA,
        summary="Replace the AVUs of an object or collection",
        body=tuple[Avu, ...],
        answer=tuple[Avu, ...],
        errors=(501, *_DATA),
    ),
    Operation(
        verb="get",
        path=routes.REPLICAS,
        summary="Copies of an object",
        answer=tuple[Replica, ...],
        errors=(409, *_DATA),
    ),
)


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
