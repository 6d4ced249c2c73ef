"""Streams of the Engine API: logs, archives, stats, and events that reconnect."""

from __future__ import annotations

import asyncio
import contextlib
import json
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
from nds_jupyter.engines.docker import builds
from nds_jupyter.engines.docker.conversion import titled
from nds_jupyter.engines.docker.http_body import BodyReader
from nds_jupyter.engines.docker.messages import (
    events_of,
    layers,
    log_chunks,
    messages,
    pull_error,
    samples,
)
from nds_jupyter.engines.docker.sdk_clients import SdkClients, registry_auth, translated
from nds_jupyter.engines.docker.thread_streams import BlockingStream
from nds_jupyter.errors import ContainerNotFound, ImageNotFound, NdsError, PathNotFound
from nds_jupyter.jobs.job import Progress

T = TypeVar("T")

ASK = 5.0
"""Seconds for asking whether the container of a silent log has ended."""

GIVE_UP = 3
"""Times that an engine says nothing in a row: once, it may only be busy."""

ARCHIVE_PIECE = 2**20
"""Bytes of an archive that are given on at a time."""

PULL_BEGINS = 600.0
"""Seconds until a pull says something: the engine is silent while it asks the registry."""

ACTIONS = ("start", "die", "oom", "destroy")


class DecodedStream(BlockingStream[T]):
    """A source over a reader of bytes that makes something of them."""

    def __init__(self, reader: BodyReader, make: Callable[[Iterator[bytes]], Iterator[T]]) -> None:
        self._reader = reader
        self._make = make

    def __iter__(self) -> Iterator[T]:
        return self._make(iter(self._reader))

    def __next__(self) -> T:
        raise NotImplementedError

    def abort(self) -> None:
        """End the stream from another thread."""
        self._reader.abort()


class StreamOpener:
    """What an engine streams; every method connects, and returns what is read then.

    Parameters
    ----------
    deadline
        Seconds until an answer begins.
    """

    def __init__(self, clients: SdkClients, deadline: float) -> None:
        self._clients = clients
        self._deadline = deadline

    def _get(self, path: str, *names: str, **options: Any) -> tuple[Any, Any]:
        return self._clients.stream(
            lambda client: client._get(client._url(path, *names), stream=True, **options),
            self._deadline,
        )

    def pull(self, reference: str) -> DecodedStream[Progress]:
        """Open what the engine says while it fetches an image."""

        def ask(client: Any) -> Any:
            headers = registry_auth(client, reference)
            response = client._post(
                client._url("/images/create"),
                params={"fromImage": reference},
                headers=headers,
                stream=True,
            )
            if response.status_code >= 400:
                said = response.json().get("message", "")
                raise pull_error(reference, said)
            return response

        with translated(f"The image {reference}", ImageNotFound):
            client, response = self._clients.stream(ask, PULL_BEGINS)
            return DecodedStream(BodyReader(client, response), lambda data: layers(data, reference))

    def build(self, spec: ImageSpec) -> DecodedStream[str]:
        """Open the log of a build."""
        with translated(f"The image {spec.reference}", ImageNotFound):
            client, response = self._clients.stream(
                lambda client: builds.ask(client, spec), PULL_BEGINS
            )
            reader = BodyReader(client, response)
            return DecodedStream(reader, lambda data: builds.log_lines(messages(data)))

    def log(
        self, path: str, name: str, request: LogRequest, ended: Callable[[], bool] | None
    ) -> DecodedStream[LogChunk]:
        """Open a log.

        Parameters
        ----------
        path
            The route, with a place for the name.
        ended
            Asked while the log is silent whether there will be no more; None for what ends anyhow.
        """
        with translated(titled(name)):
            client, response = self._get(path, name, params=_log_parameters(request))
            return DecodedStream(BodyReader(client, response, ended), log_chunks)

    def stats(self, container_id: str) -> DecodedStream[Sample]:
        """Open the samples of a container, about one a second."""
        with translated(titled(container_id)):
            params = {"stream": True}
            client, response = self._get("/containers/{0}/stats", container_id, params=params)
            return DecodedStream(BodyReader(client, response), samples)

    def archive(self, container_id: str, path: str) -> BodyReader:
        """Open a path as a tar stream."""
        with translated(f"{path} in container {container_id[:12]}", PathNotFound):
            client, response = self._get(
                "/containers/{0}/archive",
                container_id,
                params={"path": path},
                # The engine would compress what is read here as it comes.
                headers={"Accept-Encoding": "identity"},
            )
            return BodyReader(client, response, fill=ARCHIVE_PIECE)

    def events(
        self, since: float, actions: tuple[str, ...], connected: EngineEvent
    ) -> DecodedStream[EngineEvent]:
        """Open what happens to containers of jobs, from a moment on.

        Parameters
        ----------
        actions
            What is told of.
        connected
            Comes first, when the engine has begun to tell.
        """
        filters = {"type": ["container"], "label": [LABEL_JOB], "event": list(actions)}
        with translated("The events"):
            params = {"filters": json.dumps(filters), "since": since}
            client, response = self._get("/events", params=params)
            return DecodedStream(
                BodyReader(client, response), lambda data: chain([connected], events_of(data))
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


def has_ended(clients: SdkClients, container_id: str) -> Callable[[], bool]:
    """Return what asks whether a container has ended, or its engine is lost."""

    def ask() -> bool:
        with translated(titled(container_id)), contextlib.closing(clients.new(ASK)) as client:
            return not client.inspect_container(container_id)["State"]["Running"]

    return ended_or_lost(ask)


def ended_or_lost(ended: Callable[[], bool]) -> Callable[[], bool]:
    """Return what also tells of what is gone, and of an engine that goes on saying nothing."""
    unanswered = 0

    def ask() -> bool:
        nonlocal unanswered
        try:
            answer = ended()
        except ContainerNotFound:
            return True
        except NdsError:
            unanswered += 1
            return unanswered >= GIVE_UP
        unanswered = 0
        return answer

    return ask


FIRST, MOST = 0.2, 5.0
"""Seconds between attempts to connect."""

Connect = Callable[[float | None], AsyncGenerator[EngineEvent, None]]
"""Opens the stream from a time on, in seconds since 1970; from now on for None."""


async def reconnecting(connect: Connect) -> AsyncGenerator[EngineEvent, None]:
    """Give the events of one connection after the other, for ever."""
    since: float | None = None
    pause = FIRST
    while True:
        try:
            async with contextlib.aclosing(connect(since)) as events:
                async for event in events:
                    since = event.at.timestamp()
                    pause = FIRST
                    yield event
        except NdsError:
            await asyncio.sleep(pause)
            pause = min(2 * pause, MOST)
        else:
            await asyncio.sleep(pause)
