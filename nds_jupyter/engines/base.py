"""The `Engine` protocol and the values it speaks in.

An engine knows containers and images; it knows neither jobs' records nor HTTP routes. Every method
raises errors of `nds_jupyter.errors` only: `EngineUnavailable` when it does not answer,
`DeadlineExceeded` when it answers too late, `TooBusy` when no place for a stream is free,
`ContainerNotFound`, `ImageNotFound`, `PathNotFound`, `NameTaken`, and `EngineError` for the rest;
an engine of many nodes also `NotPlaced`, `NodeLost` and `NoEndpoint`.
Async iterators hold a connection: close them (`contextlib.aclosing`) when leaving early.

The values are defined by noun in `containers`, `images` and `events`, and imported from here: who
speaks with an engine needs this one module.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from typing import Any, Protocol

import msgspec

from nds_jupyter.engines.containers import (
    LABEL_ATTEMPT,
    LABEL_BUILD,
    LABEL_JOB,
    LABEL_OWNER,
    LABEL_SERVER,
    MOST_CARRIED,
    Change,
    ChangeKind,
    Container,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    LogChunk,
    LogRequest,
    LogStream,
    Mount,
    PathStat,
    Sample,
)
from nds_jupyter.engines.events import EngineEvent, TaskOfService
from nds_jupyter.engines.images import Image, ImageSpec
from nds_jupyter.jobs import Progress

__all__ = [
    "LABEL_ATTEMPT",
    "LABEL_BUILD",
    "LABEL_JOB",
    "LABEL_OWNER",
    "LABEL_SERVER",
    "MOST_CARRIED",
    "Change",
    "ChangeKind",
    "Container",
    "ContainerSpec",
    "ContainerStatus",
    "ContainerSummary",
    "Engine",
    "EngineEvent",
    "EngineInfo",
    "Image",
    "ImageSpec",
    "LogChunk",
    "LogRequest",
    "LogStream",
    "Mount",
    "OpenSink",
    "Part",
    "PathStat",
    "Sample",
    "Sink",
    "TaskOfService",
]


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of itself.

    Parameters
    ----------
    name
        The node's name; `worker` of the jobs that run there.
    memory
        Bytes.
    most_at_once
        Containers that are worth handing over at one time; None for one a CPU. An engine of many
        nodes queues by itself.
    disk_free
        Bytes that containers can still write; None where that is not known.
    builds
        Whether it can build images.
    helps
        Whether it runs helper containers; see `Helping`.
    """

    name: str
    version: str
    api_version: str
    cpus: int
    memory: int
    most_at_once: int | None = None
    disk_free: int | None = None
    builds: bool = True
    helps: bool = False


Part = bytes | memoryview


class Sink(Protocol):
    """Takes bytes in the thread that has read them."""

    def send(self, parts: Sequence[Part]) -> None:
        """Take some bytes; return when there is room for more."""

    def abort(self) -> None:
        """Make a call that waits fail; called from another thread, any number of times."""

    def close(self) -> None:
        """Free what it holds; called once, in the thread."""


OpenSink = Callable[[], Coroutine[Any, Any, Sink]]


class Engine(Protocol):
    """A place where containers run."""

    async def info(self) -> EngineInfo:
        """Ask the engine who it is; the cheapest proof that it answers."""

    async def images(self) -> tuple[Image, ...]:
        """List the images that have a name."""

    async def image(self, reference: str) -> Image:
        """Return one image; `ImageNotFound` if the engine has none by that reference."""

    def pull(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Fetch an image from its registry; `ImageNotFound` if there is none."""

    def build(self, spec: ImageSpec) -> AsyncGenerator[str, None]:
        """Build an image, and give the lines of its log; `ImageNotFound` if a step fails.

        Leaving early ends the build.
        """

    async def remove_image(self, reference: str) -> None:
        """Remove an image; fine if it is gone, `EngineError` while a container is made of it."""

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container and return its id; `NameTaken` if the name is in use.

        Raises
        ------
        NotPlaced
            It waits for a node. Calling it again with the same `spec` goes on waiting.
        """

    async def put_archive(
        self, container_id: str, path: str, archive: bytes | AsyncIterable[bytes]
    ) -> None:
        """Unpack a tar archive at a folder of a container, started or not.

        Parameters
        ----------
        archive
            An iterator is sent as it comes; an error that it raises is raised on, and leaves the
            container half filled.
        """

    async def path_exists(self, container_id: str, path: str) -> bool:
        """Tell whether a path exists in a container, started or not."""

    async def stat(self, container_id: str, path: str) -> PathStat | None:
        """Return what a path of a container is, started or not; None if there is nothing."""

    async def start(self, container_id: str) -> str | None:
        """Start a created container, by its id or name.

        Returns
        -------
        str or None
            The id of another container, where it was made anew to be started.

        Raises
        ------
        ImageNotFound
            If what it runs is not in its image.
        NotPlaced
            If it was made anew and waits for a node; calling this again goes on waiting.
        """

    async def worker(self, container_id: str) -> str:
        """Return the name of the node that has a container; cheap enough for every job."""

    async def inspect(self, container: str) -> Container:
        """Return one container by its id, unique prefix of the id, or name."""

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers that carry all these labels (an empty value: any value)."""

    def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log, in the order in which the engine has it."""

    def stats(self, container_id: str) -> AsyncGenerator[Sample, None]:
        """Sample a running container about once a second until it ends."""

    async def diff(self, container_id: str) -> tuple[Change, ...]:
        """List what differs from the image, by path."""

    async def send_archive(self, container_id: str, path: str, open_sink: OpenSink) -> None:
        """Write a path's tar stream to a sink, without passing the event loop.

        Parameters
        ----------
        open_sink
            Called in the event loop once the path is known to be there.

        Raises
        ------
        PathNotFound
            If there is nothing at the path; no sink is opened then.
        """

    def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream whose names begin with the path's last part."""

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds; fine if it has ended already."""

    async def remove(self, container_id: str) -> None:
        """Remove a container, running or not; fine if it is gone."""

    def events(self) -> AsyncGenerator[EngineEvent, None]:
        """Watch containers of jobs for ever, reconnecting by itself and losing nothing."""

    async def close(self) -> None:
        """End every stream and free threads and connections."""
