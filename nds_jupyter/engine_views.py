"""The JSON of the REST API as types: what an engine has, and how it and the server are."""

from __future__ import annotations

from datetime import datetime

import msgspec

from nds_jupyter.jobs import (
    Limits,
)


class ImageView(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_images`; `present` is false for one that a pull would bring."""

    name: str
    tag: str
    id: str
    size: int
    created: datetime | None
    present: bool = True
    workers: tuple[str, ...] = ()


class ContainerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_container`."""

    id: str
    name: str
    image: str
    state: str
    status: str
    created: datetime
    worker: str
    job_id: str
    owner: str


class MountView(msgspec.Struct, frozen=True, kw_only=True):
    """Something mounted in a container."""

    type: str
    source: str
    destination: str
    read_only: bool


class ContainerView(msgspec.Struct, frozen=True, kw_only=True):
    """One container, as `/info` gives it.

    Parameters
    ----------
    note
        Why its files, changes and metrics can't be had; empty where they can.
    """

    id: str
    name: str
    image: str
    command: tuple[str, ...]
    state: str
    status: str
    exit_code: int | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    limits: Limits
    mounts: tuple[MountView, ...]
    labels: dict[str, str]
    worker: str
    job_id: str
    owner: str
    last_used: datetime | None = None
    note: str = ""


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/diff`.

    Parameters
    ----------
    type
        ``file``, ``dir``, ``link`` or ``other``; None for what was deleted or is not known.
    size
        Bytes of a file.
    """

    path: str
    kind: str
    type: str | None = None
    size: int | None = None


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/list_results`; `kind` is ``file``, ``dir``, ``link`` or ``other``."""

    name: str
    path: str
    kind: str | None = None
    size: int | None = None
    modified: datetime | None = None


class SampleView(msgspec.Struct, frozen=True, kw_only=True):
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


class MetricView(msgspec.Struct, frozen=True, kw_only=True):
    """`/metric`: now (None when it is not running), the samples so far, and the container."""

    now: SampleView | None
    history: tuple[SampleView, ...]
    info: ContainerView | None


class LoadView(msgspec.Struct, frozen=True, kw_only=True):
    """`/load`: one owner's jobs, and the engine that all share.

    Parameters
    ----------
    running, queued
        The owner's jobs that have a place, and those that wait for one.
    places
        Jobs that run at once; None until the engine has said how many CPUs it has.
    cpus, memory
        What the engine has; None while it does not answer.
    cpu_percent, memory_usage
        What all jobs of this server use: percent of one CPU, bytes.
    """

    running: int
    queued: int
    places: int | None
    cpus: int | None
    memory: int | None
    cpu_percent: float
    memory_usage: int


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One part of `/health`; `latency` in seconds."""

    reachable: bool
    version: str
    latency: float
    message: str = ""


class NodeHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a Swarm in `/health`; `message` says what is wrong or could be better."""

    name: str
    reachable: bool
    message: str


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """`/health`; `version` is this package's, `catalogue` None while none is configured.

    `nodes` is empty where one engine runs the jobs. `disk_free` is in bytes, on the disk that holds
    the jobs' record.
    """

    version: str
    engine: PartHealth
    journal: PartHealth
    catalogue: PartHealth | None = None
    nodes: tuple[NodeHealth, ...] = ()
    disk_free: int | None = None
