"""Base of the handlers: authorization, decoding, owner, JSON responses and error responses."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import urlencode

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.data_roots import DataRoots
from nds_jupyter.data.spool import Spool
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import Forbidden, NdsError
from nds_jupyter.handlers.error_responses import make_problem, status_of
from nds_jupyter.handlers.request_decoding import (
    convert_fields,
    decode_json_object,
    parse_text_list,
    single_values,
)
from nds_jupyter.handlers.response_streams import StreamingHandler
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.live import Broadcaster
from nds_jupyter.services.container_info import ContainerInfo
from nds_jupyter.services.data_login import DataLogins
from nds_jupyter.services.job_actions import JobActions
from nds_jupyter.services.job_logs import JobLogs
from nds_jupyter.services.job_results import JobResults, SelectionDelivery
from nds_jupyter.services.server_status import EngineLoad, HealthChecks
from nds_jupyter.services.target_lookup import Target, TargetLookup

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])
RESOURCE = "nds"
SETTINGS_KEY = "nds_services"


def allowed(action: Literal["read", "write"]) -> Callable[[Method], Method]:
    """Require that a request is authenticated, and authorized for the action on `nds`.

    The action is spelt out, since Jupyter would take every GET for a `read`.
    """

    def decorate(method: Method) -> Method:
        return cast("Method", web.authenticated(authorized(action, resource=RESOURCE)(method)))

    return decorate


class _TargetFields(Protocol):
    @property
    def job_id(self) -> str | None: ...

    @property
    def cont_id(self) -> str | None: ...


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The services that handlers call; made by the application.

    Parameters
    ----------
    owner_of
        Returns the owner whose jobs a request's user sees.
    prefix
        Where the routes live under the base URL.
    """

    actions: JobActions
    data_roots: DataRoots
    engine: Engine
    data_logins: DataLogins
    delivery: SelectionDelivery
    health: HealthChecks
    journal: JournalThread
    load: EngineLoad
    logs: JobLogs
    lookup: TargetLookup
    broadcaster: Broadcaster
    containers: ContainerInfo
    results: JobResults
    spool: Spool
    owner_of: Callable[[Any], str]
    prefix: str
    openapi: Callable[[], dict[str, object]]


class NdsHandler(StreamingHandler):
    """Base of every handler."""

    auth_resource = RESOURCE

    @property
    def services(self) -> Services:
        """The services of this application."""
        services: Services = self.settings[SETTINGS_KEY]
        return services

    @property
    def owner(self) -> str:
        """The owner whose jobs this request is about."""
        return self.services.owner_of(self.current_user)

    async def find_data_root(self) -> DataRoot:
        """Return the data root of the owner whom this request is about."""
        return await self.services.data_roots.for_owner(self.owner)

    def decode_query(self, as_type: type[T]) -> T:
        """Decode the query string."""
        return convert_fields(single_values(self.request.query_arguments), as_type)

    def decode_arguments(self, as_type: type[T], *, lists: Sequence[str] = ()) -> T:
        """Decode the query string together with the body, a form or JSON.

        Parameters
        ----------
        lists
            Fields that are arrays, which in a query or a form come as text.
        """
        texts = single_values(self.request.arguments)
        values = {
            name: parse_text_list(name, text) if name in lists else text
            for name, text in texts.items()
        }
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "application/json" and self.request.body:
            return convert_fields({**values, **decode_json_object(self.request.body)}, as_type)
        return convert_fields(values, as_type)

    async def find_target(self, query: _TargetFields) -> Target:
        """Return the job or container that a reading route is about."""
        return await self.services.lookup.find_target(
            self.owner, job_id=query.job_id, cont_id=query.cont_id
        )

    def send_json(self, value: object, status: int = 200) -> None:
        """Send JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(value))

    def send_page(self, rows: Sequence[object], limit: int, cursor: int) -> None:
        """Send one page of a whole list, with a link to the next."""
        self.send_json(self.take_page(rows, limit, cursor))

    def take_page(self, rows: Sequence[T], limit: int, cursor: int) -> Sequence[T]:
        """Return one page of a whole list, and send a link to the next."""
        if len(rows) > cursor + limit:
            self.set_next_link(cursor + limit)
        return rows[cursor : cursor + limit]

    def set_next_link(self, cursor: int | str) -> None:
        """Set the link to the next page, relative to this one (RFC 8288)."""
        fields = {
            name: values[-1]
            for name, values in self.request.query_arguments.items()
            if name not in {"cursor", "token"}
        }
        query = urlencode({**fields, "cursor": str(cursor)})
        self.set_header("Link", f'<?{query}>; rel="next"')

    def refuse_cross_site_get(self) -> None:
        """Check XSRF and origin of a GET that changes something, if it is authorized by a cookie.

        JupyterHub's check lets a link that is followed pass, wherever it stands; what a browser
        says of itself (https://www.w3.org/TR/fetch-metadata/) does not.
        """
        site = self.request.headers.get("Sec-Fetch-Site", "same-origin")
        if not self.token_authenticated and site != "same-origin":
            raise Forbidden("This page may not ask for it. Use POST, or a token.")
        self.check_xsrf_cookie()

    def finish(self, *args: Any, **kwargs: Any) -> Future[None]:
        """Keep the content type that was set; Jupyter would call every response JSON."""
        kwargs.setdefault("set_content_type", self._headers.get("Content-Type"))
        finished: Future[None] = super().finish(*args, **kwargs)
        return finished

    def set_default_headers(self) -> None:
        """Set JSON as the default content type, also where Jupyter would choose another."""
        self.set_header("Content-Type", "application/json")
        self.set_header("X-Content-Type-Options", "nosniff")

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send an error of our own with the status of its class."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if self._headers_written:
            self._close_connection()
            return
        super().send_error(
            status_of(error) if isinstance(error, NdsError) else status_code, **kwargs
        )

    def _close_connection(self) -> None:
        """Close the connection: a response that has begun can't become an error any more.

        Tornado would end it as if it were complete, and a client would keep half of a file.
        """
        connection: Any = self.request.connection
        self._finished = True
        connection.stream.close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send `application/problem+json`."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = ""
        if isinstance(error, web.HTTPError) and status_code != 500:
            message = error.log_message or ""
            with contextlib.suppress(TypeError, ValueError):
                message = message % error.args
            message = f"{message.rstrip('.')}." if message else ""
        body = self.problem_body(status_code, make_problem(status_code, error, message))
        self.set_header("Content-Type", "application/problem+json")
        if isinstance(error, NdsError) and "retry_after" in error.details:
            self.set_header("Retry-After", str(error.details["retry_after"]))
        self.finish(msgspec.json.encode(body))

    def problem_body(self, status: int, body: dict[str, object]) -> dict[str, object]:
        """Return the body of an error; a route may add to it."""
        del status
        return body

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log our own errors as a sentence: only a defect deserves a traceback."""
        if not isinstance(value, NdsError):
            if not isinstance(value, asyncio.CancelledError):
                super().log_exception(typ, value, tb)
            return
        status = status_of(value)
        log = self.log.warning if status >= 500 else self.log.debug
        log("%s %s: %s", self.request.method, self.request.path, value)
