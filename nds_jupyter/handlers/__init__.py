"""Handlers of the REST routes: decode, one await, respond."""

from __future__ import annotations

import re

from jupyter_server.utils import url_path_join

from nds_jupyter.handlers.base_handler import NdsHandler
from nds_jupyter.handlers.containers import (
    DiffHandler,
    InfoHandler,
    ListContainerHandler,
    ListImagesHandler,
    MetricHandler,
    StdoutHandler,
)
from nds_jupyter.handlers.data import (
    DataHandler,
    DataLoginHandler,
    ListDataHandler,
    MetadataHandler,
    ReplicasHandler,
    TicketHandler,
    TicketsHandler,
)
from nds_jupyter.handlers.events import EventsHandler
from nds_jupyter.handlers.jobs import (
    BackgroundHandler,
    FileHandler,
    JobHandler,
    JobsHandler,
    RerunHandler,
    ScriptHandler,
    StopHandler,
    UploadHandler,
)
from nds_jupyter.handlers.results import (
    ArchiveHandler,
    DeliverHandler,
    ListResultsHandler,
    ResultsHandler,
)
from nds_jupyter.handlers.server import HealthHandler, LoadHandler, OpenapiHandler
from nds_jupyter.rest import routes

ROUTES: tuple[tuple[str, type[NdsHandler]], ...] = (
    (routes.UPLOAD, UploadHandler),
    (routes.STDOUT, StdoutHandler),
    (routes.LIST_DATA, ListDataHandler),
    (routes.LIST_IMAGES, ListImagesHandler),
    (routes.LIST_CONTAINER, ListContainerHandler),
    (routes.STOP, StopHandler),
    (routes.INFO, InfoHandler),
    (routes.DIFF, DiffHandler),
    (routes.METRIC, MetricHandler),
    (routes.RESULTS, ResultsHandler),
    (routes.DATA, DataHandler),
    (routes.METADATA, MetadataHandler),
    (routes.REPLICAS, ReplicasHandler),
    (routes.DATA_LOGIN, DataLoginHandler),
    (routes.TICKETS, TicketsHandler),
    (routes.TICKET, TicketHandler),
    (routes.JOBS, JobsHandler),
    (routes.JOB, JobHandler),
    (routes.RERUN, RerunHandler),
    (routes.BACKGROUND, BackgroundHandler),
    (routes.HEALTH, HealthHandler),
    (routes.OPENAPI, OpenapiHandler),
    (routes.EVENTS, EventsHandler),
    (routes.LOAD, LoadHandler),
    (routes.SCRIPT, ScriptHandler),
    (routes.LIST_RESULTS, ListResultsHandler),
    (routes.ARCHIVE, ArchiveHandler),
    (routes.DELIVER, DeliverHandler),
    (routes.FILE, FileHandler),
)


def url_rules(prefix: str) -> list[tuple[str, type[NdsHandler]]]:
    """Return Tornado's rules for all routes; the extension puts the base URL before them.

    Parameters
    ----------
    prefix
        Where the routes live under the base URL; empty for the root.
    """
    return [(url_pattern(prefix, template), handler) for template, handler in ROUTES]


def url_pattern(prefix: str, template: str) -> str:
    """Return the pattern of a route's URL below the base URL, with a group for each variable."""
    path = re.escape(template).replace(r"\{job_id\}", r"(?P<job_id>[^/]+)")
    path = path.replace(r"\{path\}", r"(?P<path>.*)")
    for name in ("sha256", "ticket"):
        path = path.replace(rf"\{{{name}\}}", rf"(?P<{name}>[^/]+)")
    return url_path_join("/", re.escape(prefix), path)
