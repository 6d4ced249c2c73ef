"""Handshake that brings a script into its container and gives it the start signal.

A container on a node with an endpoint waits for the go file (`services`). Files come to it by its
standard input, where they are small and its shell runs as root: an engine starts a process of its
own for each archive that it unpacks, which costs more than all the rest of a short job, and a shell
writes small files for next to nothing. What does not go this way is put there by an archive.

Into a container on a node without an endpoint nothing can be put: its files become Swarm configs,
and its service is updated to one that has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import posixpath
import shlex
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, MAX_CONFIG_BYTES, Container, ContainerStatus
from nds_jupyter.engines.swarm import service_specs, tasks
from nds_jupyter.engines.swarm.container_inspection import ContainerInspection
from nds_jupyter.engines.swarm.node_engine import LABEL_PATH, NodeEngine
from nds_jupyter.engines.swarm.node_events import StartedContainers
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.placement import TaskWatch
from nds_jupyter.engines.swarm.service_specs import (
    GO_FOLDER,
    GO_PATH,
    LAUNCHER,
    LAUNCHER_NAME,
    LAUNCHER_PATH,
    STDIN_DONE_PATH,
    ConfigFile,
    go_archive,
    job_labels,
)
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import (
    ContainerNotFound,
    EngineError,
    EngineUnavailable,
    NdsError,
    NoEndpoint,
    NotPlaced,
)
from nds_jupyter.jobs.byte_sizes import size_text

START_TIMEOUT = 30.0
"""Seconds in which a container that a node has made must have been started by it."""


class ScriptStarter:
    """Gives each container its start signal exactly once, also where it is asked to again."""

    def __init__(
        self,
        nodes: Nodes,
        locations: TaskLocations,
        task_watch: TaskWatch,
        started_containers: StartedContainers,
        inspection: ContainerInspection,
        script_configs: ScriptConfigs,
        stdin_transfer: StdinTransfer,
    ) -> None:
        self._nodes = nodes
        self._locations = locations
        self._task_watch = task_watch
        self._started_containers = started_containers
        self._inspection = inspection
        self._script_configs = script_configs
        self._stdin_transfer = stdin_transfer

    async def start(self, container_id: str) -> str | None:
        """Release a container's script, and return the id of another one that has it, if any.

        Raises
        ------
        NotPlaced
            If it was released, and waits for a node; calling this again goes on waiting.
        NodeLost
            If it has ended, without having been released.
        """
        location = await self._locations.find_or_unplaced(container_id)
        if (configs := await self._required_configs(location)) is not None:
            self._inspection.mark_released(location.container_id)
            return await self._start_by_update(location, configs)
        engine = await self._locations.engine_at(location)
        self._inspection.mark_released(location.container_id)
        if not await self._stdin_transfer.send_start_signal(engine, location.container_id):
            found = await engine.inspect(location.container_id)
            if found.state is ContainerStatus.EXITED:
                # With the file in it, it would pass for one whose script began.
                raise await self._inspection.ended_early_error(location, ran=False)
            await engine.put_archive(location.container_id, GO_FOLDER, go_archive())
        if not self._started_containers.has_started(location.container_id):
            await self._wait_until_started(location)
        return None

    async def _required_configs(self, location: TaskLocation) -> tuple[ConfigFile, ...] | None:
        """Return the files of a container that are configs; None if its node has it already."""
        is_reachable = await self._nodes.find_engine(location.node_id) is not None
        is_waiting = self._inspection.is_waiting(location.container_id)
        if is_reachable and is_waiting and not self._script_configs.has(location.container_id):
            return None
        files = await self._script_configs.list_files(location.service)
        return (await self._script_configs.ensure_launcher(), *files) if files else None

    async def _start_by_update(
        self, location: TaskLocation, configs: tuple[ConfigFile, ...]
    ) -> str:
        def change(body: dict[str, Any]) -> dict[str, Any] | None:
            # Changed again, the script would run again.
            if service_specs.is_released_service(body):
                return None
            return service_specs.released_service_body(body, configs)

        await self._nodes.call_manager(
            lambda manager: manager.update_service(location.service, change)
        )
        in_time, task = await self._task_watch.wait_for(
            location.service, _is_running_or_ran, START_TIMEOUT
        )
        if task is None or not in_time:
            raise NotPlaced(tasks.waiting_text(task))
        if task.container_id is None:
            raise tasks.task_error(task)
        self._locations.redirect(location.container_id, task)
        return task.container_id

    async def _wait_until_started(self, location: TaskLocation) -> None:
        """Wait until the node has started what it made; an image without a shell ends here."""
        engine = await self._locations.engine_at(location)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                while True:
                    found = await engine.inspect(location.container_id)
                    if found.state is not ContainerStatus.CREATED:
                        return
                    task = await self._locations.find_task(location.service)
                    if found.error or task is None or task.has_ended:
                        raise _not_started_error(task, found)
                    await asyncio.sleep(0.05)
        raise EngineError(f"The node did not start the container {location.container_id[:12]}.")


def _is_running_or_ran(task: Task) -> bool:
    return task.is_released and (task.has_ended or task.state == "running")


def _not_started_error(task: Task | None, found: Container) -> NdsError:
    if task is None:
        return ContainerNotFound(f"The container {found.id[:12]} was removed.")
    return tasks.task_error(msgspec.structs.replace(task, error=task.error or found.error))


MAX_STDIN_BYTES = 16 * 1024
"""Bytes of an archive's files: some shells read their input byte by byte."""

IMAGE_RETRY_AFTER = 60.0
"""Seconds in which an image is not tried again: its shell lacks something, or had no time."""

SHELL_TIMEOUT, FIRST_POLL, MAX_POLL = 3.0, 0.02, 0.2
"""Seconds in which a shell has run its commands, and between two checks whether it has."""


class StdinTransfer:
    """Sends files and the start signal to the shells that read containers' standard input."""

    def __init__(self) -> None:
        self._images: dict[str, str] = {}
        self._failed_at: dict[str, float] = {}

    def add(self, container_id: str, image: str) -> None:
        """Add a container that waits and runs as root, unless its image failed a moment ago."""
        if time.monotonic() - self._failed_at.get(image, float("-inf")) > IMAGE_RETRY_AFTER:
            self._images[container_id] = image

    def remove(self, container_id: str) -> None:
        """Remove a container that is gone."""
        self._images.pop(container_id, None)

    async def send_files(
        self, engine: NodeEngine, container_id: str, path: str, archive: bytes
    ) -> bool:
        """Send the files of an archive; False where they must be put there."""
        if container_id not in self._images or (lines := shell_commands(path, archive)) is None:
            return False
        return await self._run_commands(engine, container_id, lines, STDIN_DONE_PATH)

    async def send_start_signal(self, engine: NodeEngine, container_id: str) -> bool:
        """Release a script; False where the go file must be put there."""
        if container_id not in self._images:
            return False
        return await self._run_commands(engine, container_id, b"", GO_PATH)

    async def _run_commands(
        self, engine: NodeEngine, container_id: str, lines: bytes, done_path: str
    ) -> bool:
        """Have a shell run commands, and then make a file that shows that it has."""
        message = lines + f": >{done_path}\n".encode()
        try:
            done = await engine.write_stdin(container_id, message)
        except EngineUnavailable:
            raise
        except EngineError:
            # It runs no more, or can't be attached to.
            done = False
        done = done and await _wait_for_file(engine, container_id, done_path)
        if not done:
            self._failed_at[self._images.pop(container_id)] = time.monotonic()
        return done


async def _wait_for_file(engine: NodeEngine, container_id: str, path: str) -> bool:
    until, pause = time.monotonic() + SHELL_TIMEOUT, FIRST_POLL
    while await engine.file_time(container_id, path) is None:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_POLL)
    return True


def shell_commands(path: str, archive: bytes) -> bytes | None:
    """Return the commands that unpack an archive; None if it is nothing for a shell.

    Parameters
    ----------
    path
        The folder at which the archive is to be unpacked.
    """
    folders: dict[int, list[str]] = {}
    lines = []
    if len(archive) > MAX_STDIN_BYTES + 2 * tarfile.RECORDSIZE:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = shlex.quote(posixpath.join(path, member.name))
            if member.isdir():
                folders.setdefault(member.mode, []).append(name)
                continue
            content = tar.extractfile(member) if member.isreg() else None
            data = b"\0" if content is None else content.read()
            if b"\0" in data or len(data) > MAX_STDIN_BYTES:
                return None
            quoted = data.replace(b"'", b"'\\''")
            lines.append(b"printf %%s '%s' >%s\n" % (quoted, name.encode()))
            lines.append(f"chmod {member.mode:o} {name}\n".encode())
    every = " ".join(name for names in folders.values() for name in names)
    made = [f"mkdir -p {every}\n".encode()] if every else []
    made += [f"chmod {mode:o} {' '.join(names)}\n".encode() for mode, names in folders.items()]
    return b"set -e\n" + b"".join(made + lines)


class ScriptConfigs:
    """Stores the files of containers that nothing can be put into as Swarm configs."""

    def __init__(self, nodes: Nodes, locations: TaskLocations) -> None:
        self._nodes = nodes
        self._locations = locations
        self._container_ids: set[str] = set()

    def has(self, container_id: str) -> bool:
        """Whether this process has stored files for a container."""
        return container_id in self._container_ids

    async def store(self, location: TaskLocation, folder: str, archive: bytes) -> None:
        """Store the files of an archive until the container is released.

        Raises
        ------
        NoEndpoint
            If they are too large for that.
        """
        if len(archive) > MAX_CONFIG_BYTES + 2 * tarfile.RECORDSIZE:
            name = await self._nodes.node_name(location.node_id)
            raise NoEndpoint(
                f"{size_text(len(archive))} can't be brought to {name}, which has no endpoint. "
                "Its administrator can add one to c.NdsApp.endpoints."
            )
        task = await self._locations.find_task(location.service)
        if task is None:
            raise ContainerNotFound(f"The container {location.container_id[:12]} does not exist.")
        self._container_ids.add(location.container_id)
        for path, content in _read_files(folder, archive):
            digest = hashlib.sha256(path.encode() + b"\0" + content).hexdigest()[:12]
            labels = {**job_labels(task.labels), LABEL_PATH: path}
            await self._create(f"{location.service}-{digest}", content, labels)

    async def _create(self, name: str, content: bytes, labels: dict[str, str]) -> None:
        await self._nodes.call_manager(lambda manager: manager.create_config(name, content, labels))

    async def list_files(self, service: str) -> tuple[ConfigFile, ...]:
        """List what is stored for a service's container, also before a crash."""
        labels = [f"{LABEL_JOB}={service.removeprefix('nds-')}", LABEL_PATH]
        found = await self._nodes.call_manager(lambda manager: manager.configs(labels))
        return tuple(
            ConfigFile(id=each.id, name=each.name, path=each.labels[LABEL_PATH]) for each in found
        )

    async def ensure_launcher(self) -> ConfigFile:
        """Return the config of what such a container runs first."""
        config_id = await self._nodes.call_manager(
            lambda manager: manager.ensure_config(LAUNCHER_NAME, LAUNCHER)
        )
        return ConfigFile(id=config_id, name=LAUNCHER_NAME, path=LAUNCHER_PATH)

    async def remove(self, location: TaskLocation) -> None:
        """Remove what is stored for a container that is removed."""
        for config in await self.list_files(location.service):
            await self._remove_config(config.id)
        self._container_ids.discard(location.container_id)

    async def _remove_config(self, config_id: str) -> None:
        await self._nodes.call_manager(lambda manager: manager.remove_config(config_id))


def _read_files(folder: str, archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield f"{folder.rstrip('/')}/{member.name}", content.read()
