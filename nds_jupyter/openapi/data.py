"""The operations of the data root, for the OpenAPI document."""

from __future__ import annotations

from nds_jupyter import queries, routes, views
from nds_jupyter.data.entries import Avu, Replica
from nds_jupyter.openapi.operations import Operation

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
