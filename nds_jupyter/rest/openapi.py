"""OpenAPI document of the REST API, made from its routes and the types of their bodies."""

from __future__ import annotations

from typing import Any

import msgspec

from nds_jupyter._version import __version__
from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.data.entries import Avu, Replica, Ticket
from nds_jupyter.rest import queries, routes, views

REF = "#/components/schemas/{name}"

_UPSTREAM = (502, 504)
"""Statuses of routes that call the engine or the data root."""

_READING = (409, 410, 502, 503, 504)
"""Statuses of routes that read a container."""

_ARCHIVES = ("application/x-tar", "application/gzip", "application/zip")


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


DATA_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        verb="get",
        path=routes.LIST_DATA,
        summary="Data stored in the data root",
        query=queries.ListDataQuery,
        answer=list[views.DataRow],
        errors=(409, *_UPSTREAM),
    ),
    *(
        Operation(
            verb=verb,
            path=routes.DATA,
            summary="Content of an object" if verb == "get" else "Description of an object",
            media=("application/octet-stream",),
            errors=(409, 412, 416, *_UPSTREAM),
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
        errors=(409, 412, 413, 507, *_UPSTREAM),
    ),
    Operation(
        verb="delete",
        path=routes.DATA,
        summary="Remove an object or a collection",
        query=queries.DataRemoveQuery,
        status=204,
        errors=(409, 412, *_UPSTREAM),
    ),
    Operation(
        verb="post",
        path=routes.DATA,
        summary="Make a collection, or move what is there",
        query=queries.DataPostQuery,
        status=201,
        also=(200,),
        answer=views.DataRow,
        errors=(409, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.METADATA,
        summary="AVUs of an object or collection",
        answer=tuple[Avu, ...],
        errors=(501, *_UPSTREAM),
    ),
    Operation(
        verb="put",
        path=routes.METADATA,
        summary="Replace the AVUs of an object or collection",
        body=tuple[Avu, ...],
        answer=tuple[Avu, ...],
        errors=(501, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.REPLICAS,
        summary="Copies of an object",
        answer=tuple[Replica, ...],
        errors=(409, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.DATA_LOGIN,
        summary="Whose account opens the data root for the owner",
        answer=views.DataLoginView,
    ),
    Operation(
        verb="put",
        path=routes.DATA_LOGIN,
        summary="Log the owner in to the data root, or answer what an interactive login asks",
        body=queries.DataLoginRequest,
        also=(202,),
        answer=views.DataLoginView,
        errors=(409, 501, 503, *_UPSTREAM),
    ),
    Operation(
        verb="delete",
        path=routes.DATA_LOGIN,
        summary="Log the owner out of the data root",
        status=204,
        errors=(501,),
    ),
    Operation(
        verb="get",
        path=routes.TICKETS,
        summary="Tickets by which the owner shares data",
        query=queries.TicketsQuery,
        answer=list[Ticket],
        errors=(501, *_UPSTREAM),
    ),
    Operation(
        verb="post",
        path=routes.TICKETS,
        summary="Share an object or collection by a ticket",
        body=queries.TicketRequest,
        status=201,
        answer=Ticket,
        errors=(409, 501, *_UPSTREAM),
    ),
    Operation(
        verb="delete",
        path=routes.TICKET,
        summary="Remove a ticket",
        status=204,
        errors=(501, *_UPSTREAM),
    ),
)


PANEL_OPERATIONS: tuple[Operation, ...] = (
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
        answer=views.LoadView,
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
        answer=list[views.ResultRow],
        errors=_READING,
    ),
    Operation(
        verb="get",
        path=routes.ARCHIVE,
        summary="Several paths of a container as one archive",
        query=queries.ArchiveQuery,
        media=_ARCHIVES,
        errors=_READING,
    ),
    Operation(
        verb="post",
        path=routes.ARCHIVE,
        summary="Several paths of a container as one archive",
        body=queries.ArchiveQuery,
        media=_ARCHIVES,
        errors=_READING,
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
        errors=(*_READING, 413, 507),
    ),
)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        verb="post",
        path=routes.UPLOAD,
        summary="Create a docker job",
        body=JobRequest,
        status=201,
        answer=views.JobView | list[views.JobView],
        errors=(409, 413, 422, 501, 502, 503),
    ),
    Operation(
        verb="get",
        path=routes.UPLOAD,
        summary="Status of a docker job",
        query=queries.JobQuery,
        answer=views.JobView,
        errors=(409,),
    ),
    Operation(
        verb="get",
        path=routes.STDOUT,
        summary="Log of a job or container",
        query=queries.StdoutQuery,
        answer=views.LogText,
        media=("text/plain", "application/x-ndjson"),
        errors=(409, 410, 503, *_UPSTREAM),
    ),
    *DATA_OPERATIONS,
    Operation(
        verb="get",
        path=routes.LIST_IMAGES,
        summary="Images that a job may use",
        answer=list[views.ImageView],
        errors=_UPSTREAM,
    ),
    Operation(
        verb="get",
        path=routes.LIST_CONTAINER,
        summary="Containers",
        query=queries.ContainersQuery,
        answer=list[views.ContainerRow],
        errors=_UPSTREAM,
    ),
    *(
        Operation(
            verb=verb,
            path=routes.STOP,
            summary="Stop a job or container",
            query=queries.StopQuery,
            answer=views.StopView,
            errors=(409, *_UPSTREAM),
        )
        for verb in ("get", "post")
    ),
    Operation(
        verb="get",
        path=routes.INFO,
        summary="Information about one container, or all by last use",
        query=queries.InfoQuery,
        answer=views.ContainerView | list[views.ContainerView],
        errors=(409, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.DIFF,
        summary="What a container changed on its filesystem",
        query=queries.DiffQuery,
        answer=list[views.ChangeView],
        errors=(409, 410, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.METRIC,
        summary="What a container uses and used",
        query=queries.TargetQuery,
        answer=views.MetricView,
        errors=(409, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.RESULTS,
        summary="What a job left, as an archive or one file",
        query=queries.ResultsQuery,
        media=(
            "application/x-tar",
            "application/gzip",
            "application/zip",
            "application/octet-stream",
        ),
        errors=(409, 410, 416, 503, *_UPSTREAM),
    ),
    Operation(
        verb="get",
        path=routes.JOBS,
        summary="Jobs, newest first",
        query=queries.JobsQuery,
        answer=list[views.JobView],
    ),
    Operation(
        verb="get",
        path=routes.JOB,
        summary="What a job was asked for, in the words of POST /upload",
        answer=views.SpecView,
        errors=(409,),
    ),
    Operation(
        verb="delete",
        path=routes.JOB,
        summary="Stop if running, remove container and record",
        status=204,
        errors=(409, *_UPSTREAM),
    ),
    Operation(
        verb="post",
        path=routes.RERUN,
        summary="The same job again, as a new one",
        status=201,
        answer=views.JobView,
        errors=(409, 410, 413, 422, 502, 503),
    ),
    Operation(
        verb="post",
        path=routes.BACKGROUND,
        summary="Let the cell that waits for a job go on without it",
        answer=views.JobView,
        errors=(409, 503),
    ),
    Operation(
        verb="get",
        path=routes.HEALTH,
        summary="Whether engine and journal work",
        answer=views.HealthView,
        also=(503,),
    ),
    *PANEL_OPERATIONS,
    Operation(verb="get", path=routes.OPENAPI, summary="This document", answer=dict[str, Any]),
)


def openapi_document(prefix: str = routes.PREFIX) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every route.

    Parameters
    ----------
    prefix
        Where the routes live under the server's base URL.
    """
    types = [views.Problem, JobRequest]
    types += [operation.answer for operation in OPERATIONS if operation.answer is not None]
    types += [operation.body for operation in OPERATIONS if operation.body is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    head = f"/{prefix.strip('/')}" if prefix.strip("/") else ""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        verbs = paths.setdefault(head + operation.path, {})
        verbs[operation.verb] = _describe_operation(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "nds_jupyter", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"}
            },
        },
        "security": [{"token": []}],
    }


def _describe_operation(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {media: {} for media in operation.media}
    if operation.answer is not None:
        content["application/json"] = {"schema": by_type[repr(operation.answer)]}
    problem = {"application/problem+json": {"schema": by_type[repr(views.Problem)]}}
    answers: dict[str, Any] = {
        str(status): {"description": "See message.", "content": problem}
        for status in sorted({400, 401, 403, 404, *operation.errors})
    }
    for status in (operation.status, *operation.also):
        answers[str(status)] = {
            "description": operation.summary,
            **({"content": content} if content else {}),
        }
    result: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": _describe_parameters(operation),
        "responses": answers,
    }
    if operation.path == routes.UPLOAD and operation.verb == "post":
        answers["200"] = {"description": "The job of this Idempotency-Key", "content": content}
        schema = {"schema": by_type[repr(JobRequest)]}
        kinds = ("application/json", "multipart/form-data", "application/x-www-form-urlencoded")
        result["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, schema)}
    elif operation.body is not None:
        schema = {"schema": by_type[repr(operation.body)]}
        result["requestBody"] = {"required": True, "content": {"application/json": schema}}
    elif operation.takes:
        result["requestBody"] = {"required": True, "content": {operation.takes: {}}}
    return result


def _inline_refs(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with what it refers to in its place: a parameter's is small."""
    if isinstance(schema, list):
        return [_inline_refs(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline_refs(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline_refs(value, definitions) for name, value in schema.items()}


def _describe_parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("job_id", "path", "sha256", "ticket")
        if f"{{{name}}}" in operation.path
    ]
    for field in msgspec.structs.fields(operation.query):
        schema = msgspec.json.schema(field.type)
        schema = _inline_refs(schema, schema.pop("$defs", {}))
        parameters.append(
            {
                "name": field.encode_name,
                "in": "query",
                "required": field.required,
                "schema": schema,
            }
        )
    if operation.path == routes.UPLOAD and operation.verb == "post":
        key: dict[str, Any] = {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string"},
        }
        parameters.append(key)
    return parameters
