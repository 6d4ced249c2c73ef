"""Handshake that delivers a script to a task's container and signals it to start.

An engine starts a process of its own for each archive that it unpacks, which costs more than all
the rest of a short job. The shell that reads the input of a container (`starter.py`) writes small
files for next to nothing, where it runs as root. What does not go this way is put by an archive.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import posixpath
import shlex
import tarfile
import time
from typing import Any

import msgspec

from nds_jupyter.engines.base import Container, ContainerStatus
from nds_jupyter.engines.swarm import services, tasks
from nds_jupyter.engines.swarm.container_reads import ContainerInspection
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.node_events import StartedContainers
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.script_configs import ScriptConfigs
from nds_jupyter.engines.swarm.services import (
    GO_FOLDER,
    GO_PATH,
    HANDED_PATH,
    ConfigFile,
    go_archive,
)
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.engines.swarm.task_watch import TaskWatch
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import (
    ContainerNotFound,
    EngineError,
    EngineUnavailable,
    NdsError,
    NotPlaced,
)

MOST = 16 * 1024
"""Bytes of an archive's files: some shells read their input byte by byte."""

REFUSED_FOR = 60.0
"""Seconds in which an image is not tried again: its shell lacks something, or had no time."""

ANSWERS_WITHIN, LOOK_FIRST, LOOK_MOST = 3.0, 0.02, 0.2
"""Seconds in which a shell has done what it was told, and between two looks whether it has."""


class StdinTransfer:
    """Knows which containers take what they need by their input."""

    def __init__(self) -> None:
        self._takes: dict[str, str] = {}
        self._refused: dict[str, float] = {}

    def expect(self, container_id: str, image: str) -> None:
        """Take note that a container waits whose image, run as root, can be tried."""
        if time.monotonic() - self._refused.get(image, float("-inf")) > REFUSED_FOR:
            self._takes[container_id] = image

    def forget(self, container_id: str) -> None:
        """Take note that a container is gone."""
        self._takes.pop(container_id, None)

    async def take(self, engine: NodeEngine, container_id: str, path: str, archive: bytes) -> bool:
        """Hand the files of an archive over; False where they must be put there."""
        if container_id not in self._takes or (lines := told(path, archive)) is None:
            return False
        return await self._tell(engine, container_id, lines, HANDED_PATH)

    async def let_go(self, engine: NodeEngine, container_id: str) -> bool:
        """Let a script go; False where the file that does so must be put there."""
        if container_id not in self._takes:
            return False
        return await self._tell(engine, container_id, b"", GO_PATH)

    async def _tell(self, engine: NodeEngine, container_id: str, lines: bytes, sign: str) -> bool:
        """Have a shell do what it is told, and then make a file as a sign of that."""
        message = lines + f": >{sign}\n".encode()
        try:
            done = await engine.write_input(container_id, message)
        except EngineUnavailable:
            raise
        except EngineError:
            # It runs no more, or can't be attached to.
            done = False
        done = done and await _is_there(engine, container_id, sign)
        if not done:
            self._refused[self._takes.pop(container_id)] = time.monotonic()
        return done


async def _is_there(engine: NodeEngine, container_id: str, path: str) -> bool:
    until, pause = time.monotonic() + ANSWERS_WITHIN, LOOK_FIRST
    while await engine.file_time(container_id, path) is None:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, LOOK_MOST)
    return True


def told(path: str, archive: bytes) -> bytes | None:
    """Return what a shell is told to make of an archive; None if it is nothing for a shell.

    Parameters
    ----------
    path
        The folder at which the archive is to be unpacked.
    """
    folders: dict[int, list[str]] = {}
    lines = []
    if len(archive) > MOST + 2 * tarfile.RECORDSIZE:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = shlex.quote(posixpath.join(path, member.name))
            if member.isdir():
                folders.setdefault(member.mode, []).append(name)
                continue
            content = tar.extractfile(member) if member.isreg() else None
            data = b"\0" if content is None else content.read()
            if b"\0" in data or len(data) > MOST:
                return None
            quoted = data.replace(b"'", b"'\\''")
            lines.append(b"printf %%s '%s' >%s\n" % (quoted, name.encode()))
            lines.append(f"chmod {member.mode:o} {name}\n".encode())
    every = " ".join(name for names in folders.values() for name in names)
    made = [f"mkdir -p {every}\n".encode()] if every else []
    made += [f"chmod {mode:o} {' '.join(names)}\n".encode() for mode, names in folders.items()]
    return b"set -e\n" + b"".join(made + lines)


START_SECONDS = 30.0
"""Seconds in which a container that a node has made must have been started by it."""


class StartSignal:
    """Lets each container go once, whoever asks how often."""

    def __init__(
        self,
        nodes: Nodes,
        where: TaskLocations,
        watch: TaskWatch,
        arrivals: StartedContainers,
        inspection: ContainerInspection,
        carried: ScriptConfigs,
        handing: StdinTransfer,
    ) -> None:
        self._nodes = nodes
        self._where = where
        self._watch = watch
        self._arrivals = arrivals
        self._inspection = inspection
        self._carried = carried
        self._handing = handing

    async def start(self, container_id: str) -> str | None:
        """Let a container's script go, and return the id of another one that has it, if any.

        Raises
        ------
        NotPlaced
            If it was let go, and waits for a node; calling this again goes on waiting.
        NodeLost
            If it has ended, without having been let go.
        """
        place = await self._where.service_of(container_id)
        if (configs := await self._configs(place)) is not None:
            self._inspection.let_go(place.container_id)
            return await self._by_service(place, configs)
        engine = await self._where.engine_of(place)
        self._inspection.let_go(place.container_id)
        if not await self._handing.let_go(engine, place.container_id):
            there = await engine.inspect(place.container_id)
            if there.state is ContainerStatus.EXITED:
                # With the file in it, it would pass for one whose script began.
                raise await self._inspection.ended(place, ran=False)
            await engine.put_archive(place.container_id, GO_FOLDER, go_archive())
        if not self._arrivals.has_started(place.container_id):
            await self._until_started(place)
        return None

    async def _configs(self, place: TaskLocation) -> tuple[ConfigFile, ...] | None:
        """Return what was taken for a container; None if its node has it already."""
        is_reached = await self._nodes.engine_of(place.node_id) is not None
        known = self._inspection.is_held(place.container_id)
        if is_reached and known and not self._carried.took(place.container_id):
            return None
        found = await self._carried.of(place.service)
        return (await self._carried.letting(), *found) if found else None

    async def _by_service(self, place: TaskLocation, configs: tuple[ConfigFile, ...]) -> str:
        def change(body: dict[str, Any]) -> dict[str, Any] | None:
            # Changed again, the script would run again.
            return (
                None
                if services.is_released_service(body)
                else services.released_service(body, configs)
            )

        await self._nodes.ask_manager(lambda manager: manager.change_service(place.service, change))
        in_time, task = await self._watch.until(place.service, _runs_or_ran, START_SECONDS)
        if task is None or not in_time:
            raise NotPlaced(tasks.waiting_sentence(task))
        if task.container_id is None:
            raise tasks.failure(task)
        self._where.moved(place.container_id, task)
        return task.container_id

    async def _until_started(self, place: TaskLocation) -> None:
        """Wait until the node has started what it made; an image without a shell ends here."""
        engine = await self._where.engine_of(place)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while True:
                    there = await engine.inspect(place.container_id)
                    if there.state is not ContainerStatus.CREATED:
                        return
                    task = await self._where.task_of(place.service)
                    if there.error or task is None or task.has_ended:
                        raise _not_started(task, there)
                    await asyncio.sleep(0.05)
        raise EngineError(f"The node did not start the container {place.container_id[:12]}.")


def _runs_or_ran(task: Task) -> bool:
    return task.is_released and (task.has_ended or task.state == "running")


def _not_started(task: Task | None, there: Container) -> NdsError:
    if task is None:
        return ContainerNotFound(f"The container {there.id[:12]} was removed.")
    return tasks.failure(msgspec.structs.replace(task, error=task.error or there.error))
