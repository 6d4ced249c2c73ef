"""Tasks and nodes of a Swarm, converted from the manager's JSON. Pure.

A task is one attempt to run a service's container on a node (SwarmKit's ``design/task_model.md``).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nds_jupyter.engines.base import (
    LABEL_JOB,
    Container,
    ContainerStatus,
    ContainerSummary,
)
from nds_jupyter.engines.docker.json_conversion import parse_time
from nds_jupyter.engines.missing_program import find_missing_program
from nds_jupyter.engines.swarm.service_specs import is_released_command, without_starter
from nds_jupyter.errors import EngineError, ImageNotFound, NdsError
from nds_jupyter.jobs.job import Limits, container_name

_GIVEN_UP = frozenset({"rejected", "orphaned", "remove", "shutdown"})
_ENDED = frozenset({"complete", "failed", "rejected", "shutdown", "orphaned", "remove"})
_NO_IMAGE = ("no such image", "pull access denied", "manifest unknown", "not found: manifest")

_SWARM_LABELS = "com.docker.swarm."


class NodeState(enum.StrEnum):
    """The manager's word for a node's state."""

    UNKNOWN = "unknown"
    READY = "ready"
    DOWN = "down"
    DISCONNECTED = "disconnected"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node as the manager sees it."""

    id: str
    name: str
    state: NodeState
    active: bool
    is_manager: bool
    cpus: float
    memory: int


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to run a job's container.

    Parameters
    ----------
    state
        The manager's word: ``pending``, ``running``, ``complete``, …
    error
        Error of the scheduler or the node; empty if there is none.
    container_id
        None until the node has made a container.
    is_released
        Whether its container waits for no start signal.
    constraints
        What its node must fulfil.
    volume
        The name of its volume; empty if it has none.
    """

    id: str
    service_id: str
    node_id: str
    state: str
    removed: bool
    error: str
    created: datetime
    updated: datetime
    container_id: str | None
    exit_code: int
    image: str
    command: tuple[str, ...]
    labels: dict[str, str]
    limits: Limits
    is_released: bool = False
    constraints: tuple[str, ...] = ()
    volume: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in _ENDED

    @property
    def is_given_up(self) -> bool:
        """Whether the manager has ended it, so that it is not known how its container ended."""
        return self.state in _GIVEN_UP and self.container_id is not None

    @property
    def job_id(self) -> str:
        """The job it runs."""
        return self.labels.get(LABEL_JOB, "")


def parse_node(data: Mapping[str, Any]) -> Node:
    """Return a row of ``GET /nodes``."""
    resources = data["Description"].get("Resources") or {}
    return Node(
        id=data["ID"],
        name=data["Description"]["Hostname"],
        state=NodeState(data["Status"]["State"]),
        active=data["Spec"]["Availability"] == "active",
        is_manager=data["Spec"]["Role"] == "manager",
        cpus=resources.get("NanoCPUs", 0) / 1e9,
        memory=resources.get("MemoryBytes", 0),
    )


def parse_task(data: Mapping[str, Any]) -> Task:
    """Return a row of ``GET /tasks``."""
    status, spec = data["Status"], data["Spec"]
    container = status.get("ContainerStatus") or {}
    inside = spec.get("ContainerSpec") or {}
    limits = (spec.get("Resources") or {}).get("Limits") or {}
    command = tuple(inside.get("Command") or ())
    return Task(
        id=data["ID"],
        service_id=data["ServiceID"],
        node_id=data.get("NodeID", ""),
        state=status["State"],
        removed=data["DesiredState"] == "remove",
        error=status.get("Err", ""),
        created=parse_time(data["CreatedAt"]) or datetime.fromtimestamp(0, UTC),
        updated=parse_time(status["Timestamp"]) or datetime.fromtimestamp(0, UTC),
        container_id=container.get("ContainerID") or None,
        exit_code=container.get("ExitCode", 0),
        image=inside.get("Image", "").partition("@")[0],
        command=without_starter(command),
        is_released=is_released_command(command),
        volume=next((each.get("Source", "") for each in inside.get("Mounts") or ()), ""),
        constraints=tuple((spec.get("Placement") or {}).get("Constraints") or ()),
        labels=inside.get("Labels") or {},
        limits=Limits(
            cpus=limits.get("NanoCPUs", 0) / 1e9,
            memory=limits.get("MemoryBytes", 0),
            pids=limits.get("Pids", 0),
        ),
    )


def without_swarm_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a container's labels without those that the Swarm has added."""
    return {name: value for name, value in labels.items() if not name.startswith(_SWARM_LABELS)}


def newest_task(tasks: Iterable[Task]) -> Task | None:
    """Return the task that counts: the last attempt."""
    return max(tasks, key=lambda each: each.created, default=None)


def task_error(task: Task) -> NdsError:
    """Return the error of a task that ended without running anything."""
    message = task.error or f"the task is {task.state}"
    if (program := find_missing_program(message)) is not None:
        hint = " A job on a Swarm needs /bin/sh in its image." if program == "/bin/sh" else ""
        return ImageNotFound(f"The image {task.image} has no program {program!r}.{hint}")
    if any(words in message.lower() for words in _NO_IMAGE):
        return ImageNotFound(
            f"A node can't get the image {task.image}: {message}. Push it to a registry that every "
            "node reaches, or load it on every node."
        )
    return EngineError(f"The Swarm could not start the job: {message}.")


def waiting_text(task: Task | None) -> str:
    """Say why a job has no container yet, in the scheduler's own words."""
    if task is None or (not task.error and task.state in {"new", "pending"}):
        return "Waiting for the scheduler of the Swarm."
    if task.error:
        return f"Waiting for a node: {task.error}."
    return f"A node prepares the container ({task.state})."


_STATES = {
    "running": ContainerStatus.RUNNING,
    "starting": ContainerStatus.CREATED,
    "complete": ContainerStatus.EXITED,
    "failed": ContainerStatus.EXITED,
}


def to_container(task: Task, worker: str, *, is_waiting: bool, out_of_reach: str = "") -> Container:
    """Return what the manager alone knows of a container.

    Parameters
    ----------
    is_waiting
        Whether its script waits for the start signal.
    out_of_reach
        Why its node can't be asked; empty where it can.
    """
    status = _STATES.get(task.state, ContainerStatus.DEAD if task.has_ended else None)
    if status is None or (is_waiting and status is ContainerStatus.RUNNING):
        status = ContainerStatus.CREATED
    return Container(
        id=task.container_id or task.id,
        name=container_name(task.job_id),
        image=task.image,
        image_id="",
        command=task.command,
        state=status,
        # A task that never came to a container has no exit code, and the manager has 0.
        exit_code=task.exit_code if task.has_ended and task.container_id else None,
        oom=False,
        created=task.created,
        started=_started(task),
        finished=task.updated if task.has_ended else None,
        limits=task.limits,
        mounts=(),
        labels=task.labels,
        worker=worker,
        error=task.error,
        out_of_reach=out_of_reach,
    )


def _started(task: Task) -> datetime | None:
    """Return when a script was released, where that was with its container."""
    if not task.is_released or task.container_id is None:
        return None
    return task.updated if task.state == "running" else task.created


def to_summary(task: Task, worker: str, note: str, *, is_waiting: bool = False) -> ContainerSummary:
    """Return a row of the list of containers from what the manager alone knows."""
    known = to_container(task, worker, is_waiting=is_waiting)
    return ContainerSummary(
        id=known.id,
        name=known.name,
        image=known.image,
        state=known.state,
        status=f"{task.state}{note}",
        created=known.created,
        labels=known.labels,
        worker=worker,
    )
