"""What an engine tells of containers unasked."""

from __future__ import annotations

from datetime import datetime

import msgspec


class TaskOfService(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempt of which service a container is, on which node of a Swarm."""

    service_id: str
    task_id: str
    node_id: str


class EngineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a container that carries a job's label.

    Parameters
    ----------
    action
        ``start``, ``die``, ``oom`` or ``destroy``; ``connected`` when the stream has just been
        (re)connected, with an empty `container_id`: look at every container again.
    exit_code
        What the script exited with, where the engine says so together with ``die``.
    task
        Whose container it is, if it is a service's.
    """

    action: str
    container_id: str
    job_id: str
    at: datetime
    exit_code: int | None = None
    task: TaskOfService | None = None
