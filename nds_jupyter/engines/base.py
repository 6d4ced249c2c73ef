"""Protocol of a container engine, and the values that it takes and returns.

An engine knows containers and images; it knows neither jobs' records nor HTTP routes. Every method
raises errors of `nds_jupyter.errors` only: `EngineUnavailable` when it does not answer,
`DeadlineExceeded` when it answers too late, `TooBusy` when no slot for a stream is free,
`ContainerNotFound`, `ImageNotFound`, `PathNotFound`, `NameTaken`, and `EngineError` for the rest;
an engine of many nodes also `NotPlaced`, `NodeLost` and `NoEndpoint`.
Async iterators hold a connection: close them (`contextlib.aclosing`) when leaving early.
"""

from __future__ import annotations

import enum
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from datetime import datetime
from typing import Any, Protocol

import msgspec

from nds_jupyter.jobs.job import Limits, Network, Progress

LABEL_JOB = "nds.job"
LABEL_OWNER = "nds.owner"
LABEL_SERVER = "nds.server"
LABEL_BUILD = "nds.build"
LABEL_ATTEMPT = "nds.attempt"
"""Which attempt of the job a container is for; the first one's has no such label."""


MAX_CONFIG_BYTES = 500_000
"""Bytes of a Swarm config: the only way to bring files to a node without an endpoint."""


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A container to create. There is no way to ask for privileges or mounts of the host.

    Parameters
    ----------
    constraints
        Which nodes may run it, in Swarm's words: ``node.labels.gpu==true``.
    gpus
        Whole GPUs, for it alone.
    transfers
        Whether more than `MAX_CONFIG_BYTES` bytes go into it, or anything comes out of it: then its
        node must be within reach.
    volume
        A folder of it that is a volume, of its own name, which a stager can share; empty for none.
    """

    name: str
    image: str
    command: tuple[str, ...]
    env: dict[str, str]
    labels: dict[str, str]
    limits: Limits
    network: Network
    working_dir: str = "/results"
    constraints: tuple[str, ...] = ()
    gpus: int = 0
    transfers: bool = False
    volume: str = ""


class ContainerStatus(enum.StrEnum):
    """The engine's word for what a container is doing."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class ContainerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list of containers.

    Parameters
    ----------
    status
        The engine's own words: ``Exited (0) 5 minutes ago``.
    """

    id: str
    name: str
    image: str
    state: ContainerStatus
    status: str
    created: datetime
    labels: dict[str, str]
    worker: str


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """Something mounted in a container."""

    type: str
    source: str
    destination: str
    read_only: bool


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container with all its properties.

    Parameters
    ----------
    out_of_reach
        Why its files, metrics and changes can't be had, as a sentence; empty where they can.
    """

    id: str
    name: str
    image: str
    image_id: str
    command: tuple[str, ...]
    state: ContainerStatus
    exit_code: int | None
    oom: bool
    created: datetime
    started: datetime | None
    finished: datetime | None
    limits: Limits
    mounts: tuple[Mount, ...]
    labels: dict[str, str]
    worker: str
    error: str = ""
    out_of_reach: str = ""


class LogStream(enum.StrEnum):
    """Which of the container's two streams."""

    STDOUT = "stdout"
    STDERR = "stderr"
    BOTH = "both"


class LogRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Selection of a log's lines.

    Parameters
    ----------
    tail
        Lines from the end; None for all.
    since
        Only lines written at this time or later.
    follow
        Go on until the container ends.
    timestamps
        Begin each line with its time (RFC 3339, nanoseconds) and a space.
    """

    stream: LogStream = LogStream.BOTH
    tail: int | None = None
    since: datetime | None = None
    follow: bool = False
    timestamps: bool = False


class LogChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one stream, as they came; a line may be cut between two chunks."""

    stream: LogStream
    data: bytes


class ChangeKind(enum.StrEnum):
    """How a path of the container's filesystem differs from the image."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A path that differs from the image."""

    path: str
    kind: ChangeKind


class PathStat(msgspec.Struct, frozen=True, kw_only=True):
    """A path of a container; `kind` is ``file``, ``dir``, ``link`` or ``other``, `size` bytes."""

    kind: str
    size: int
    modified: datetime


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Resource usage of a container at one time: CPU in percent of one CPU, the rest in bytes."""

    at: datetime
    cpu_percent: float
    memory_usage: int
    memory_limit: int
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int
    pids: int


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image on the engine.

    Parameters
    ----------
    references
        Every ``name:tag`` it is known by.
    size
        Bytes.
    path
        Folders of the image's ``PATH``, in order.
    workers
        The nodes that have it, where there are several.
    labels
        Only in lists of images.
    is_root
        Whether its containers run as root; not in lists of images.
    """

    id: str
    references: tuple[str, ...]
    size: int
    created: datetime | None = None
    path: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    is_root: bool = False


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An image to build.

    Parameters
    ----------
    reference
        The name and tag that it gets.
    files
        What lies beside the Dockerfile, by name.
    limits, network
        What its steps may use and reach.
    """

    reference: str
    dockerfile: str
    files: dict[str, bytes]
    labels: dict[str, str]
    limits: Limits
    network: Network


class ServiceTask(msgspec.Struct, frozen=True, kw_only=True):
    """Task of a Swarm service: which attempt of which service a container is, on which node."""

    service_id: str
    task_id: str
    node_id: str


class EngineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Event of a container that carries a job's label.

    Parameters
    ----------
    action
        ``start``, ``die``, ``oom`` or ``destroy``; ``connected`` when the stream has just been
        (re)connected, with an empty `container_id`: look at every container again.
    exit_code
        Exit code of the script, where the engine sends it together with ``die``.
    task
        The task whose container it is, if it is a service's.
    """

    action: str
    container_id: str
    job_id: str
    at: datetime
    exit_code: int | None = None
    task: ServiceTask | None = None


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Description of an engine.

    Parameters
    ----------
    name
        The node's name; `worker` of the jobs that run there.
    memory
        Bytes.
    max_containers
        Containers that are worth creating at one time; None for one a CPU. An engine of many nodes
        queues by itself.
    disk_free
        Bytes that containers can still write; None where that is not known.
    builds_images
        Whether it can build images.
    runs_stagers
        Whether it runs stager containers; see `cluster.SupportsStagers`.
    """

    name: str
    version: str
    api_version: str
    cpus: int
    memory: int
    max_containers: int | None = None
    disk_free: int | None = None
    builds_images: bool = True
    runs_stagers: bool = False


BytesLike = bytes | memoryview


class Sink(Protocol):
    """Destination of a download, written to by the thread that reads from the engine."""

    def send(self, parts: Sequence[BytesLike]) -> None:
        """Write some bytes; return when there is room for more."""

    def abort(self) -> None:
        """Make a call that waits fail; called from another thread, any number of times."""

    def close(self) -> None:
        """Free its resources; called once, in the thread."""


OpenSink = Callable[[], Coroutine[Any, Any, Sink]]


class Engine(Protocol):
    """Engine that runs containers: one Docker Engine, or a Swarm of many."""

    async def info(self) -> EngineInfo:
        """Describe the engine; the cheapest proof that it answers."""

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
            The id of another container, where one was created in its place.

        Raises
        ------
        ImageNotFound
            If what it runs is not in its image.
        NotPlaced
            If another one was created in its place and waits for a node; calling this again goes on
            waiting.
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
