"""Inspection and list of containers: from their nodes or, where one does not answer, the manager.

A container that waits for its start signal runs already, but only its starter: here it is shown as
created.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, Container, ContainerStatus, ContainerSummary
from nds_jupyter.engines.swarm import tasks
from nds_jupyter.engines.swarm.node_cache import labels_match
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import NODE_LIST_MAX_AGE, NodeReplies, Nodes
from nds_jupyter.engines.swarm.service_specs import GO_PATH, is_released_command, without_starter
from nds_jupyter.engines.swarm.task_locations import (
    TaskLocation,
    TaskLocations,
    no_endpoint_text,
)
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineUnavailable,
    NdsError,
    NodeLost,
    NoEndpoint,
)

SIGNAL_EXIT_CODES = frozenset({137, 143})
"""Exit codes of a script that was ended by SIGKILL or SIGTERM."""

_NOT_ANSWERING = (EngineUnavailable, DeadlineExceeded)


class ContainerInspection:
    """Inspects containers of services.

    Parameters
    ----------
    list_script_files
        Lists the configs that hold the files of a service's container, by the service's name.
    lost_after
        Seconds for which a node may be down before what ran there is given up.
    """

    def __init__(
        self,
        nodes: Nodes,
        locations: TaskLocations,
        list_script_files: Callable[[str], Awaitable[tuple[object, ...]]],
        lost_after: float,
    ) -> None:
        self._nodes = nodes
        self._locations = locations
        self._list_script_files = list_script_files
        self._lost_after = lost_after
        self._waiting: set[str] = set()

    def mark_waiting(self, container_id: str) -> None:
        """Record that a container waits for its start signal."""
        self._waiting.add(container_id)

    def mark_released(self, container_id: str) -> None:
        """Record that a container has its start signal, or may have it, or is gone."""
        self._waiting.discard(container_id)

    def is_waiting(self, container_id: str) -> bool:
        """Tell whether a container waits for its start signal."""
        return container_id in self._waiting

    def show_waiting_as_created(
        self, rows: tuple[ContainerSummary, ...], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """Return rows in which what waits for its start signal is created only, or left out."""
        created = ContainerStatus.CREATED
        marked = (
            msgspec.structs.replace(row, state=created, status="Created")
            if row.id in self._waiting and row.state is ContainerStatus.RUNNING
            else row
            for row in rows
        )
        return tuple(row for row in marked if include_ended or row.state is not created)

    async def inspect(self, container: str) -> Container:
        """Return one container by its id, unique prefix of the id, or name."""
        try:
            location = await self._locations.find(container)
        except ContainerNotFound:
            return await self._inspect_unplaced(container)
        engine = await self._nodes.find_engine(location.node_id)
        if not location.service and engine is not None:
            return await engine.inspect(location.container_id)
        node_error: NdsError | None = None
        if engine is not None:
            try:
                return await self._inspect_on_node(engine, location)
            except (ContainerNotFound, *_NOT_ANSWERING) as exc:
                node_error = exc
        return await self._inspect_by_manager(location, node_error)

    async def _inspect_unplaced(self, service: str) -> Container:
        """Describe a released container that is to be made again, on any node."""
        location = await self._locations.find_or_unplaced(service)
        task = await self._locations.find_task(location.service)
        if task is None or not task.is_released:
            raise ContainerNotFound(f"The container {service} does not exist.")
        return tasks.to_container(task, "", is_waiting=not task.has_ended)

    async def _inspect_on_node(self, engine: NodeEngine, location: TaskLocation) -> Container:
        found = await engine.inspect(location.container_id)
        go_time = await engine.file_time(location.container_id, GO_PATH)
        state = found.state
        is_released = is_released_command(found.command)
        if state is ContainerStatus.EXITED and not is_released:
            if go_time is None:
                # What has no file because it is gone itself is `ContainerNotFound`.
                await engine.inspect(location.container_id)
            await self._refuse_unless_script_ended(location, found, ran=go_time is not None)
        if go_time is None and state is ContainerStatus.RUNNING and not is_released:
            state = ContainerStatus.CREATED
        # Until the file was there, only the starter ran.
        started = (
            found.started if is_released else go_time and max(go_time, found.started or go_time)
        )
        return msgspec.structs.replace(
            found,
            name=location.service,
            image=found.image.partition("@")[0],
            command=without_starter(found.command),
            labels=tasks.without_swarm_labels(found.labels),
            state=state,
            started=started,
        )

    async def _refuse_unless_script_ended(
        self, location: TaskLocation, found: Container, *, ran: bool
    ) -> None:
        """Tell the end of a script from that of a container which the Swarm took back.

        Raises
        ------
        NodeLost
            If it is not the script that ended; `ran` says whether it may have begun.
        """
        if ran and found.exit_code not in SIGNAL_EXIT_CODES:
            return
        listed = await self._locations.list_tasks(location.service)
        task = next((each for each in listed if each.container_id == location.container_id), None)
        # One that the manager has no task for any more, but another, was replaced.
        is_given_up = bool(listed) if task is None else task.is_given_up
        if ran and not is_given_up:
            return
        cause = f" ({task.error or task.state})" if is_given_up and task is not None else ""
        raise await self.ended_early_error(location, cause, ran=ran)

    async def ended_early_error(
        self, location: TaskLocation, cause: str = "", *, ran: bool
    ) -> NodeLost:
        """Return the error of a container that was ended, but not by its script."""
        name = await self._nodes.node_name(location.node_id)
        when = "while the script ran" if ran else "before the script began"
        return NodeLost(f"The container on {name} was ended {when}{cause}.", ran=ran)

    async def refuse_lost_files(self, location: TaskLocation) -> None:
        """Raise `NodeLost` if a node that has files of a container has been down for too long."""
        down = await self._nodes.seconds_down(location.node_id)
        if down is None or down < self._lost_after:
            return
        name = await self._nodes.node_name(location.node_id)
        raise NodeLost(
            f"{name} went down with the container {location.container_id[:12]} and was not back "
            f"within {self._lost_after:g} s. If it comes back, the container's files are there."
        )

    async def _inspect_by_manager(
        self, location: TaskLocation, node_error: NdsError | None
    ) -> Container:
        """Describe what the manager knows; the node does not answer, or has no such container."""
        task = await self._locations.find_task(location.service)
        if task is None or task.container_id != location.container_id:
            self._locations.remove(location, container=False, service=False)
            raise ContainerNotFound(f"The container {location.container_id[:12]} does not exist.")
        name = await self._nodes.node_name(location.node_id)
        is_waiting = self.is_waiting(location.container_id)
        if task.is_given_up:
            raise NodeLost(
                f"The Swarm took the job off {name} ({task.error or task.state}). Whether the "
                "script ended nobody can tell."
            )
        if node_error is None:
            return await self._describe_unreachable(location, name, task, is_waiting=is_waiting)
        if task.has_ended and "No such container" not in task.error:
            return tasks.to_container(task, name, is_waiting=is_waiting)
        if isinstance(node_error, ContainerNotFound):
            raise node_error
        await self._refuse_if_lost(location, name, task, is_waiting=is_waiting)
        raise node_error

    async def _describe_unreachable(
        self, location: TaskLocation, name: str, task: Task, *, is_waiting: bool
    ) -> Container:
        """Describe a container whose node has no endpoint.

        Raises
        ------
        NoEndpoint, EngineUnavailable
            If it is not known whether its script was released by a file.
        """
        out_of_reach = no_endpoint_text(name)
        if task.has_ended or task.is_released:
            if not task.has_ended:
                await self._refuse_if_lost(location, name, task, is_waiting=False)
            return tasks.to_container(task, name, is_waiting=False, out_of_reach=out_of_reach)
        await self._refuse_if_lost(location, name, task, is_waiting=is_waiting)
        if is_waiting or await self._list_script_files(location.service):
            return tasks.to_container(task, name, is_waiting=True, out_of_reach=out_of_reach)
        if await self._nodes.has_no_endpoint(location.node_id):
            raise NoEndpoint(out_of_reach)
        raise EngineUnavailable(f"The engine of {name} does not answer.")

    async def _refuse_if_lost(
        self, location: TaskLocation, name: str, task: Task, *, is_waiting: bool
    ) -> None:
        down = await self._nodes.seconds_down(location.node_id)
        if down is None or (not is_waiting and down < self._lost_after):
            return
        raise NodeLost(
            f"{name} went down while the job was there ({task.state}). Whether the script ended "
            "nobody can tell."
        )


SERVICE_LABEL = "com.docker.swarm.service.name"


class TaskListCache:
    """Cache of the manager's lists of tasks, for a second.

    It is cleared by what this server creates or removes, and by every event of a node.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._lists: dict[tuple[str, ...], tuple[float, tuple[Task, ...]]] = {}
        self._clear_count = 0

    def clear(self) -> None:
        """Forget the lists, also those that are on their way."""
        self._clear_count += 1
        self._lists.clear()

    async def list_tasks(self, labels: tuple[str, ...]) -> tuple[Task, ...]:
        """Return the tasks that carry all these labels."""
        fetched_at, cached = self._lists.get(labels, (float("-inf"), ()))
        if time.monotonic() - fetched_at < NODE_LIST_MAX_AGE:
            return cached
        clear_count, now = self._clear_count, time.monotonic()
        found = await self._nodes.call_manager(
            lambda manager: manager.tasks({"label": list(labels)})
        )
        if clear_count == self._clear_count:
            self._lists = {labels: (now, found)} | {
                each: entry
                for each, entry in self._lists.items()
                if now - entry[0] < NODE_LIST_MAX_AGE and each != labels
            }
        return found


async def list_containers(
    nodes: Nodes,
    task_lists: TaskListCache,
    locations: TaskLocations,
    labels: Mapping[str, str],
    *,
    include_ended: bool,
) -> tuple[ContainerSummary, ...]:
    """List the containers of all nodes; those of a node that does not answer by the manager."""
    filters = [f"{name}={value}" if value else name for name, value in labels.items()]
    replies, listed = await asyncio.gather(
        nodes.call_each_node(lambda engine: engine.containers(labels, include_ended=include_ended)),
        task_lists.list_tasks(tuple(filters or [LABEL_JOB])),
        return_exceptions=True,
    )
    if isinstance(replies, BaseException):
        raise replies
    if isinstance(listed, BaseException):
        if not isinstance(listed, NdsError) or not replies.results:
            raise listed
        listed = ()
    rows = [
        _with_service_name(row)
        for each in replies.results.values()
        for row in cast("tuple[ContainerSummary, ...]", each)
    ]
    shown = {row.id for row in rows}
    missing = [
        task
        for task in listed
        if labels_match(task.labels, labels)
        and (include_ended or not task.has_ended)
        and (task.container_id or task.id) not in shown
        and task.node_id not in replies.results
    ]
    rows += await _rows_of_tasks(nodes, missing, replies)
    removed = locations.is_removed
    return tuple(row for row in rows if not removed(row.id) and not removed(row.name))


async def _rows_of_tasks(
    nodes: Nodes, listed: list[Task], replies: NodeReplies
) -> list[ContainerSummary]:
    """Return rows of the tasks whose service is there: a lost node keeps those of removed ones."""
    if not listed:
        return []
    services = await nodes.call_manager(lambda manager: manager.services([LABEL_JOB]))
    service_ids = {service["ID"] for service in services}
    return [
        await _row_of_task(nodes, task, replies)
        for task in listed
        if task.service_id in service_ids
    ]


async def _row_of_task(nodes: Nodes, task: Task, replies: NodeReplies) -> ContainerSummary:
    if not task.node_id:
        return tasks.to_summary(task, "", f": {tasks.waiting_text(task)}")
    name = await nodes.node_name(task.node_id)
    if task.node_id in replies.silent:
        return tasks.to_summary(task, name, f" ({name} {replies.silent[task.node_id]})")
    note = f" ({name} has no endpoint that answers)"
    return tasks.to_summary(task, name, note, is_waiting=not task.is_released)


def _with_service_name(row: ContainerSummary) -> ContainerSummary:
    # The container itself is called nds-<id>.<node>.<task>.
    return msgspec.structs.replace(
        row,
        name=row.labels.get(SERVICE_LABEL, row.name),
        image=row.image.partition("@")[0],
        labels=tasks.without_swarm_labels(row.labels),
    )
