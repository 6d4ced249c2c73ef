"""Image builds by the Engine API."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nds_jupyter.engines.base import ImageSpec
from nds_jupyter.errors import ImageNotFound

PERIOD = 100_000
"""Microseconds over which a step's CPUs are measured."""


def ask(client: Any, spec: ImageSpec) -> Any:
    """Send the request of a build, and return the answer that streams its log."""
    headers = {"Content-Type": "application/x-tar"}
    # Private base images: the builder pulls with what the Docker configuration has.
    client._set_auth_headers(headers)
    return client._post(
        client._url("/build"),
        data=_context(spec),
        params=_parameters(spec),
        headers=headers,
        stream=True,
    )


def _parameters(spec: ImageSpec) -> dict[str, object]:
    return {
        "t": spec.reference,
        "rm": True,
        "forcerm": True,
        "labels": json.dumps(spec.labels),
        "memory": spec.limits.memory,
        "memswap": spec.limits.memory,
        "cpuperiod": PERIOD,
        "cpuquota": int(spec.limits.cpus * PERIOD),
        "networkmode": spec.network.value,
    }


def _context(spec: ImageSpec) -> bytes:
    buffer = io.BytesIO()
    files = {"Dockerfile": spec.dockerfile.encode(), **spec.files}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            # The same time every time, or the engine's cache would never fit.
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def log_lines(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Return the lines of a build's log; a step that fails ends it with `ImageNotFound`."""
    rest, failure = "", ""
    for message in messages:
        # Read on to the end, which closes the connection.
        failure = failure or str(message.get("error", "")).strip()
        *lines, rest = (rest + message.get("stream", "")).split("\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest
    if failure:
        raise ImageNotFound(failure)
