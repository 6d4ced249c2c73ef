"""The URL templates of the REST API, shared by handlers, OpenAPI document and client."""

from __future__ import annotations

PREFIX = "nds"
"""Where the routes live under the base URL, unless `NdsApp.route_prefix` says otherwise."""

UPLOAD = "/upload"
STDOUT = "/stdout"
LIST_DATA = "/list_data"
LIST_IMAGES = "/list_images"
LIST_CONTAINER = "/list_container"
STOP = "/stop"
INFO = "/info"
DIFF = "/diff"
METRIC = "/metric"
RESULTS = "/results"
JOBS = "/jobs"
JOB = "/jobs/{job_id}"
RERUN = "/jobs/{job_id}/rerun"
HEALTH = "/health"
OPENAPI = "/openapi.json"
