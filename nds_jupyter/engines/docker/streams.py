"""Streams of the Engine API: pulls, builds, logs, archives, stats, and events that reconnect."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tarfile
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import chain
from typing import Any, TypeVar

from nds_jupyter.engines.base import (
    LABEL_JOB,
    EngineEvent,
    ImageSpec,
    LogChunk,
    LogRequest,
    LogStream,
    Sample,
)
from nds_jupyter.engines.docker.http_body import BodyReader
from nds_jupyter.engines.docker.json_conversion import container_title
from nds_jupyter.engines.docker.messages import (
    decode_build_log,
    decode_events,
    decode_log,
    decode_pull,
    decode_stats,
    pull_error,
)
from nds_jupyter.engines.docker.sdk_clients import SdkClients, registry_auth
from nds_jupyter.engines.docker.sdk_errors import translate_errors
from nds_jupyter.engines.docker.thread_streams import BlockingStream
from nds_jupyter.errors import ContainerNotFound, ImageNotFound, NdsError, PathNotFound
from nds_jupyter.jobs.job import Progress

T = TypeVar("T")

CHECK_TIMEOUT = 5.0
"""Seconds for checking whether the container of a silent log has ended."""

MAX_FAILED_CHECKS = 3
"""Checks in a row that an engine does not answer: once, it may only be busy."""

ARCHIVE_CHUNK = 2**20
"""Bytes of an archive that are passed on at a time."""

PULL_TIMEOUT = 600.0
"""Seconds until the answer of a pull begins: the engine is silent while it asks the registry."""

EVENT_ACTIONS = ("start", "die", "oom", "destroy")


class DecodedStream(BlockingStream[T]):
    """Blocking stream of values decoded from the body of an answer."""

    def __init__(
        self, reader: BodyReader, decode: Callable[[Iterator[bytes]], Iterator[T]]
    ) -> None:
        self._reader = reader
        self._decode = decode

    def __iter__(self) -> Iterator[T]:
        return self._decode(iter(self._reader))

    def __next__(self) -> T:
        raise NotImplementedError

    def abort(self) -> None:
        """End the stream from another thread."""
        self._reader.abort()


class EngineStreams:
    """Opens the streams of an engine; every method connects, and returns what is read then.

    Parameters
    ----------
    deadline
        Seconds until an answer begins.
    """

    def __init__(self, clients: SdkClients, deadline: float) -> None:
        self._clients = clients
        self._deadline = deadline

    def _open(self, path: str, *names: str, **options: Any) -> tuple[Any, Any]:
        return self._clients.open_stream(
            lambda client: client._get(client._url(path, *names), stream=True, **options),
            self._deadline,
        )

    def pull(self, reference: str) -> DecodedStream[Progress]:
        """Open the progress of a pull."""

        def request(client: Any) -> Any:
            headers = registry_auth(client, reference)
            response = client._post(
                client._url("/images/create"),
                params={"fromImage": reference},
                headers=headers,
                stream=True,
            )
            if response.status_code >= 400:
                raise pull_error(reference, response.json().get("message", ""))
            return response

        with translate_errors(f"The image {reference}", ImageNotFound):
            client, response = self._clients.open_stream(request, PULL_TIMEOUT)
            return DecodedStream(
                BodyReader(client, response), lambda data: decode_pull(data, reference)
            )

    def build(self, spec: ImageSpec) -> DecodedStream[str]:
        """Open the log of a build."""
        with translate_errors(f"The image {spec.reference}", ImageNotFound):
            client, response = self._clients.open_stream(
                lambda client: _request_build(client, spec), PULL_TIMEOUT
            )
            return DecodedStream(BodyReader(client, response), decode_build_log)

    def log(
        self, path: str, name: str, request: LogRequest, has_ended: Callable[[], bool] | None
    ) -> DecodedStream[LogChunk]:
        """Open a log.

        Parameters
        ----------
        path
            The route, with a placeholder for the name.
        has_ended
            Called while the log is silent: whether there will be no more; None for what ends
            anyhow.
        """
        with translate_errors(container_title(name)):
            client, response = self._open(path, name, params=_log_parameters(request))
            return DecodedStream(BodyReader(client, response, has_ended), decode_log)

    def stats(self, container_id: str) -> DecodedStream[Sample]:
        """Open the samples of a container, about one a second."""
        with translate_errors(container_title(container_id)):
            params = {"stream": True}
            client, response = self._open("/containers/{0}/stats", container_id, params=params)
            return DecodedStream(BodyReader(client, response), decode_stats)

    def archive(self, container_id: str, path: str) -> BodyReader:
        """Open a path as a tar stream."""
        with translate_errors(f"{path} in container {container_id[:12]}", PathNotFound):
            client, response = self._open(
                "/containers/{0}/archive",
                container_id,
                params={"path": path},
                # The engine would compress what is read here as it comes.
                headers={"Accept-Encoding": "identity"},
            )
            return BodyReader(client, response, buffer_size=ARCHIVE_CHUNK)

    def events(
        self, since: float, actions: tuple[str, ...], connected: EngineEvent
    ) -> DecodedStream[EngineEvent]:
        """Open the events of jobs' containers, from a time on.

        Parameters
        ----------
        actions
            Which events are sent.
        connected
            Comes first, when the engine has answered.
        """
        filters = {"type": ["container"], "label": [LABEL_JOB], "event": list(actions)}
        with translate_errors("The events"):
            params = {"filters": json.dumps(filters), "since": since}
            client, response = self._open("/events", params=params)
            return DecodedStream(
                BodyReader(client, response), lambda data: chain([connected], decode_events(data))
            )


def _log_parameters(request: LogRequest) -> dict[str, object]:
    parameters: dict[str, object] = {
        "stdout": int(request.stream is not LogStream.STDERR),
        "stderr": int(request.stream is not LogStream.STDOUT),
        "follow": int(request.follow),
        "timestamps": int(request.timestamps),
        "tail": "all" if request.tail is None else request.tail,
    }
    if request.since is not None:
        parameters["since"] = f"{request.since.timestamp():.6f}"
    return parameters


def container_end_check(clients: SdkClients, container_id: str) -> Callable[[], bool]:
    """Return a check whether a container has ended, or its engine is lost."""

    def check() -> bool:
        with (
            translate_errors(container_title(container_id)),
            contextlib.closing(clients.new(CHECK_TIMEOUT)) as client,
        ):
            return not client.inspect_container(container_id)["State"]["Running"]

    return ended_or_unreachable(check)


def ended_or_unreachable(has_ended: Callable[[], bool]) -> Callable[[], bool]:
    """Return a check that is also true for what is gone, and when the engine stays silent."""
    failed_checks = 0

    def check() -> bool:
        nonlocal failed_checks
        try:
            ended = has_ended()
        except ContainerNotFound:
            return True
        except NdsError:
            failed_checks += 1
            return failed_checks >= MAX_FAILED_CHECKS
        failed_checks = 0
        return ended

    return check


BUILD_CPU_PERIOD = 100_000
"""Microseconds over which a build step's CPUs are measured."""


def _request_build(client: Any, spec: ImageSpec) -> Any:
    headers = {"Content-Type": "application/x-tar"}
    # Private base images: the builder pulls with what the Docker configuration has.
    client._set_auth_headers(headers)
    return client._post(
        client._url("/build"),
        data=_build_context(spec),
        params=_build_parameters(spec),
        headers=headers,
        stream=True,
    )


def _build_parameters(spec: ImageSpec) -> dict[str, object]:
    return {
        "t": spec.reference,
        "rm": True,
        "forcerm": True,
        "labels": json.dumps(spec.labels),
        "memory": spec.limits.memory,
        "memswap": spec.limits.memory,
        "cpuperiod": BUILD_CPU_PERIOD,
        "cpuquota": int(spec.limits.cpus * BUILD_CPU_PERIOD),
        "networkmode": spec.network.value,
    }


def _build_context(spec: ImageSpec) -> bytes:
    buffer = io.BytesIO()
    files = {"Dockerfile": spec.dockerfile.encode(), **spec.files}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            # The same time every time, or the engine's cache would never match.
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


FIRST_PAUSE, MAX_PAUSE = 0.2, 5.0
"""Seconds between attempts to connect."""

Connect = Callable[[float | None], AsyncGenerator[EngineEvent, None]]
"""Opens the stream from a time on, in seconds since 1970; from now on for None."""


async def events_with_reconnect(connect: Connect) -> AsyncGenerator[EngineEvent, None]:
    """Yield the events of one connection after the other, for ever."""
    since: float | None = None
    pause = FIRST_PAUSE
    while True:
        try:
            async with contextlib.aclosing(connect(since)) as events:
                async for event in events:
                    since = event.at.timestamp()
                    pause = FIRST_PAUSE
                    yield event
        except NdsError:
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)
        else:
            await asyncio.sleep(pause)
