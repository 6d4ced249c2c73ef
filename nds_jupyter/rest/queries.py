"""Query parameters of the REST routes as types; an unknown parameter is an error."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nds_jupyter.archives.tar_conversion import ResultFormat
from nds_jupyter.engines.base import LogStream
from nds_jupyter.jobs.job import JobState

Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[int, Meta(ge=0)]
Instant = Annotated[datetime, Meta(tz=True)]


class NoQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters."""


class JobQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /upload`; `wait` in seconds, for a job that has not ended yet."""

    job_id: str
    wait: Annotated[float, Meta(ge=0, le=60)] = 0.0


class TargetQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job or a container; exactly one of the two."""

    cont_id: str | None = None
    job_id: str | None = None


class StdoutQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /stdout`; `limit` in bytes, `tail` in lines."""

    cont_id: str | None = None
    job_id: str | None = None
    tail: Annotated[int, Meta(ge=0)] | None = None
    since: Instant | None = None
    timestamps: bool = False
    stream: LogStream = LogStream.BOTH
    follow: bool = False
    limit: Annotated[int, Meta(ge=1, le=64 * 2**20)] = 2**20


class ContainersQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /list_container`."""

    all: bool = True
    limit: Limit = 100
    cursor: Cursor = 0


class StopQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET` and `POST /stop`; `timeout` in seconds before the container is killed."""

    cont_id: str | None = None
    job_id: str | None = None
    timeout: Annotated[float, Meta(ge=0, le=3600)] = 10.0


class InfoQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /info`."""

    cont_id: str | None = None
    limit: Limit = 100
    cursor: Cursor = 0


class DiffQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /diff`."""

    cont_id: str | None = None
    job_id: str | None = None
    limit: Limit = 100
    cursor: Cursor = 0


class ResultsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /results`."""

    cont_id: str | None = None
    job_id: str | None = None
    path: str = "/results"
    format: ResultFormat = ResultFormat.TAR


class JobsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /jobs`; `name` and `image` match anywhere in the job's, `q` in name, image or id."""

    q: str | None = None
    state: JobState | None = None
    name: str | None = None
    image: str | None = None
    since: Instant | None = None
    sweep: str | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class ListDataQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /list_data`; `q` is what names contain, `cursor` the last name of the page before."""

    path: str | None = None
    q: str | None = None
    limit: Limit = 100
    cursor: str | None = None


class DataRemoveQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`DELETE /data/{path}`; only `recursive` removes a collection that holds something."""

    recursive: bool = False


class DataPostQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /data/{path}`: `mkdir` (without a value), or `move_to` a path."""

    mkdir: Literal["", "1", "true"] | None = None
    move_to: str | None = None
    overwrite: bool = False


class DataLoginRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`PUT /data_login`: a password; or the `answer` to what an interactive login asked.

    `user` is the iRODS user, by default the one of the owner's name; `scheme` by default that of
    the server's iRODS environment.
    """

    password: str | None = None
    user: str | None = None
    scheme: Literal["native", "pam_password", "pam_interactive"] | None = None
    conversation: str | None = None
    answer: str | None = None

    def __repr__(self) -> str:
        return f"<login of {self.user}>"


class TicketsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /tickets`; `path` is what they are for, or holds it."""

    path: str | None = None


class TicketRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /tickets`; `expires` null is never, and in a week where it is left out."""

    path: str
    write: bool = False
    expires: Instant | msgspec.UnsetType | None = msgspec.UNSET
    uses: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /events`; `since` is the `seq` of the last message over an earlier connection."""

    since: str | None = None


class ListResultsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /list_results`."""

    cont_id: str | None = None
    job_id: str | None = None
    path: str = "/results"
    limit: Limit = 100
    cursor: Cursor = 0


class ArchiveQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/archive`; in a query or a form `paths` is a JSON array as text, or one path a line."""

    paths: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
    cont_id: str | None = None
    job_id: str | None = None
    format: ResultFormat = ResultFormat.ZIP


class DeliverRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /deliver`; `to` is a collection of the data root."""

    paths: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
    to: str
    cont_id: str | None = None
    job_id: str | None = None
    overwrite: bool = False
