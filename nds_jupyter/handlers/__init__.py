"""The REST routes: decode, one await, respond."""

from __future__ import annotations

import re

from jupyter_server.utils import url_path_join

from nds_jupyter import routes
from nds_jupyter.handlers.base import NdsHandler
from nds_jupyter.handlers.containers import (
    DiffHandler,
    InfoHandler,
    ListContainerHandler,
    ListImagesHandler,
    MetricHandler,
)
from nds_jupyter.handlers.data import (
    DataHandler,
    ListDataHandler,
    MetadataHandler,
    ReplicasHandler,
)
from nds_jupyter.handlers.deliver import DeliverHandler
from nds_jupyter.handlers.events import EventsHandler
from nds_jupyter.handlers.files import FileHandler
from nds_jupyter.handlers.jobs import (
    BackgroundHandler,
    JobHandler,
    JobsHandler,
    RerunHandler,
    ScriptHandler,
    StopHandler,
)
from nds_jupyter.handlers.logs import StdoutHandler
from nds_jupyter.handlers.passing import PASSING, PassingHandler
from nds_jupyter.handlers.results import ArchiveHandler, ListResultsHandler, ResultsHandler
from nds_jupyter.handlers.server import HealthHandler, LoadHandler, OpenapiHandler
from nds_jupyter.handlers.uploads import UploadHandler

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
    return [(_pattern(prefix, template), handler) for template, handler in ROUTES]


def passing_rules(prefix: str) -> list[tuple[str, type[NdsHandler]]]:
    """Return the same for a server that passes all of them on to another."""
    rules = []
    for template, _ in ROUTES:
        pattern = re.sub(r"\?P<\w+>", "?:", _pattern(prefix, template))
        rules.append((pattern, PASSING.get(template, PassingHandler)))
    return rules


def _pattern(prefix: str, template: str) -> str:
    path = re.escape(template).replace(r"\{job_id\}", r"(?P<job_id>[^/]+)")
    path = path.replace(r"\{path\}", r"(?P<path>.*)")
    path = path.replace(r"\{sha256\}", r"(?P<sha256>[^/]+)")
    return url_path_join("/", re.escape(prefix), path)
