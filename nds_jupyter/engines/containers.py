"""Values about containers that engines and their callers speak in."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from nds_jupyter.jobs import Limits, Network

LABEL_JOB = "nds.job"
LABEL_OWNER = "nds.owner"
LABEL_SERVER = "nds.server"
LABEL_BUILD = "nds.build"
LABEL_ATTEMPT = "nds.attempt"
"""Which attempt of the job a container is for; the first one's has no such label."""


MOST_CARRIED = 500_000
"""Bytes that can be brought to a node that is out of reach, by way of a manager of a Swarm."""


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A container to be created. There is no way to ask for privileges or mounts of the host.

    Parameters
    ----------
    constraints
        Which nodes may run it, in Swarm's words: ``node.labels.gpu==true``.
    gpus
        Whole GPUs, for it alone.
    transfers
        Whether more goes into it than `MOST_CARRIED` bytes, or anything out of it: then its node
        must be within reach.
    volume
        A folder of it that is a volume, of its own name, which a helper can share; empty for none.
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
    """Everything about one container.

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
    """What part of a log is wanted.

    Parameters
    ----------
    tail
        Lines from the end; None for all.
    since
        Only what was written at this time or later.
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
    """What happened to a path of the container's filesystem."""

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
    """What a container used at one time: CPU in percent of one CPU, the rest in bytes."""

    at: datetime
    cpu_percent: float
    memory_usage: int
    memory_limit: int
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int
    pids: int
