"""Reads of one container: inspection, logs, files, from its node or the manager."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec

from nds_jupyter.engines.base import (
    Container,
    ContainerStatus,
    ContainerSummary,
    LogChunk,
    LogRequest,
)
from nds_jupyter.engines.swarm import tasks
from nds_jupyter.engines.swarm.log_archive import LogArchive, log_by_manager
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.script_configs import ScriptConfigs
from nds_jupyter.engines.swarm.services import GO_PATH, is_released_command, without_starter
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations, no_endpoint
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineUnavailable,
    NdsError,
    NodeLost,
    NoEndpoint,
)


class ContainerReads:
    """Streams of a Swarm's containers."""

    def __init__(
        self, nodes: Nodes, where: TaskLocations, inspection: ContainerInspection, kept: LogArchive
    ) -> None:
        self._nodes = nodes
        self._where = where
        self._inspection = inspection
        self._kept = kept

    async def logs(self, container_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log: from the node, through the manager, or what was kept of it."""
        try:
            place = await self._where.find(container_id)
        except ContainerNotFound:
            for chunk in await self._kept.read(container_id, request):
                yield chunk
            return
        async with contextlib.aclosing(await self._log_of(place, request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _log_of(
        self, place: TaskLocation, request: LogRequest
    ) -> AsyncGenerator[LogChunk, None]:
        try:
            return (await self._where.engine_of(place)).logs(place.container_id, request)
        except NoEndpoint:
            return await log_by_manager(self._nodes, place, request)

    async def archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """Read a path as a tar stream; `NodeLost` if its node will not be back soon."""
        place = await self._where.find(container_id)
        engine = await self._where.engine_of(place)
        try:
            async with contextlib.aclosing(engine.archive(place.container_id, path)) as parts:
                async for part in parts:
                    yield part
        except (EngineUnavailable, DeadlineExceeded):
            await self._inspection.refuse_lost_files(place)
            raise


SIGNALLED = frozenset({137, 143})
"""What a script exits with that was killed, or told to end and did not listen to that."""

_AWAY = (EngineUnavailable, DeadlineExceeded)


class ContainerInspection:
    """Inspects containers of services.

    Parameters
    ----------
    lost_after
        Seconds for which a node may be down before what ran there is given up.
    """

    def __init__(
        self, nodes: Nodes, where: TaskLocations, carried: ScriptConfigs, lost_after: float
    ) -> None:
        self._nodes = nodes
        self._where = where
        self._carried = carried
        self._lost_after = lost_after
        self._held: set[str] = set()
        self._gone: set[str] = set()

    def hold(self, container_id: str) -> None:
        """Take note that a container waits to be let go."""
        self._held.add(container_id)

    def let_go(self, container_id: str) -> None:
        """Take note that a container was let go, or may have been."""
        self._held.discard(container_id)
        self._gone.add(container_id)

    def forget(self, container_id: str) -> None:
        """Take note that a container is removed."""
        self._held.discard(container_id)
        self._gone.discard(container_id)

    def is_held(self, container_id: str) -> bool:
        """Tell whether a container waits to be let go."""
        return container_id in self._held

    def as_let_go(
        self, rows: tuple[ContainerSummary, ...], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """Return rows in which what waits to be let go is only created, or left out."""
        created = ContainerStatus.CREATED
        marked = (
            msgspec.structs.replace(row, state=created, status="Created")
            if row.id in self._held and row.state is ContainerStatus.RUNNING
            else row
            for row in rows
        )
        return tuple(row for row in marked if include_ended or row.state is not created)

    async def inspect(self, container: str) -> Container:
        """Return one container by its id, unique prefix of the id, or name."""
        try:
            place = await self._where.find(container)
        except ContainerNotFound:
            return await self._let_go_and_placed_nowhere(container)
        engine = await self._nodes.engine_of(place.node_id)
        if not place.service and engine is not None:
            return await engine.inspect(place.container_id)
        trouble: NdsError | None = None
        if engine is not None:
            try:
                return await self._there(engine, place)
            except (ContainerNotFound, *_AWAY) as exc:
                trouble = exc
        return await self._by_manager(place, trouble)

    async def _let_go_and_placed_nowhere(self, service: str) -> Container:
        """Describe a container that is to be made anew, somewhere, to let its script go."""
        place = await self._where.service_of(service)
        task = await self._where.task_of(place.service)
        if task is None or not task.is_released:
            raise ContainerNotFound(f"The container {service} does not exist.")
        return tasks.container(task, "", waits=not task.has_ended)

    async def _there(self, engine: NodeEngine, place: TaskLocation) -> Container:
        there = await engine.inspect(place.container_id)
        go = await engine.file_time(place.container_id, GO_PATH)
        state = there.state
        let_go = is_released_command(there.command)
        if state is ContainerStatus.EXITED and not let_go:
            if go is None:
                # What has no file because it is gone itself is `ContainerNotFound`.
                await engine.inspect(place.container_id)
            await self._refuse_unless_its_own_end(place, there, ran=go is not None)
        if go is None and state is ContainerStatus.RUNNING and not let_go:
            state = ContainerStatus.CREATED
        return msgspec.structs.replace(
            there,
            name=place.service,
            image=there.image.partition("@")[0],
            command=without_starter(there.command),
            labels=tasks.labels_of_spec(there.labels),
            state=state,
            # Until the file was there, only the starter ran.
            started=there.started if let_go else go and max(go, there.started or go),
        )

    async def _refuse_unless_its_own_end(
        self, place: TaskLocation, there: Container, *, ran: bool
    ) -> None:
        """Tell the end of a script from that of a container which the Swarm took back.

        Raises
        ------
        NodeLost
            If it is not the script that ended; `ran` says whether it may have begun.
        """
        if ran and there.exit_code not in SIGNALLED:
            return
        tasks = await self._where.tasks_of(place.service)
        task = next((each for each in tasks if each.container_id == place.container_id), None)
        # One that the manager has no task for any more, but another, was replaced.
        given_up = bool(tasks) if task is None else task.is_given_up
        if ran and not given_up:
            return
        said = f" ({task.error or task.state})" if given_up and task is not None else ""
        raise await self.ended(place, said, ran=ran)

    async def ended(self, place: TaskLocation, said: str = "", *, ran: bool) -> NodeLost:
        """Return the error of a container that was ended, but not by its script."""
        name = await self._nodes.name_of(place.node_id)
        what = "while the script ran" if ran else "before the script began"
        return NodeLost(f"The container on {name} was ended {what}{said}.", ran=ran)

    async def refuse_lost_files(self, place: TaskLocation) -> None:
        """Raise `NodeLost` if a node that has files of a container has been down for too long."""
        down = await self._nodes.down_for(place.node_id)
        if down is None or down < self._lost_after:
            return
        name = await self._nodes.name_of(place.node_id)
        raise NodeLost(
            f"{name} went down with the container {place.container_id[:12]} and was not back "
            f"within {self._lost_after:g} s. If it comes back, the container's files are there."
        )

    async def _by_manager(self, place: TaskLocation, trouble: NdsError | None) -> Container:
        """Say what the manager knows; the node does not answer, or has no such container."""
        task = await self._where.task_of(place.service)
        if task is None or task.container_id != place.container_id:
            self._where.forget(place, container=False, service=False)
            raise ContainerNotFound(f"The container {place.container_id[:12]} does not exist.")
        name = await self._nodes.name_of(place.node_id)
        held = place.container_id in self._held
        if task.is_given_up:
            raise NodeLost(
                f"The Swarm took the job off {name} ({task.error or task.state}). Whether the "
                "script ended nobody can tell."
            )
        if trouble is None:
            return await self._out_of_reach(place, name, task, held=held)
        if task.has_ended and "No such container" not in task.error:
            return tasks.container(task, name, waits=held)
        if isinstance(trouble, ContainerNotFound):
            raise trouble
        await self._refuse_if_lost(place, name, task, held=held)
        raise trouble

    async def _out_of_reach(
        self, place: TaskLocation, name: str, task: Task, *, held: bool
    ) -> Container:
        """Describe a container whose node has no endpoint.

        Raises
        ------
        NoEndpoint, EngineUnavailable
            If nobody can tell whether its script was let go by a file.
        """
        sentence = no_endpoint(name)
        if task.has_ended or task.is_released:
            if not task.has_ended:
                await self._refuse_if_lost(place, name, task, held=False)
            return tasks.container(task, name, waits=False, out_of_reach=sentence)
        await self._refuse_if_lost(place, name, task, held=held)
        if held or await self._carried.of(place.service):
            return tasks.container(task, name, waits=True, out_of_reach=sentence)
        if await self._nodes.is_out_of_reach(place.node_id):
            raise NoEndpoint(sentence)
        raise EngineUnavailable(f"The engine of {name} does not answer.")

    async def _refuse_if_lost(
        self, place: TaskLocation, name: str, task: Task, *, held: bool
    ) -> None:
        down = await self._nodes.down_for(place.node_id)
        if down is None or (not held and down < self._lost_after):
            return
        raise NodeLost(
            f"{name} went down while the job was there ({task.state}). Whether the script ended "
            "nobody can tell."
        )
