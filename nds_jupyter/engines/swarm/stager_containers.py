"""Stager containers: they run on a job's node, share its volume, and have their own secret."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from nds_jupyter.engines.base import (
    LABEL_OWNER,
    LABEL_SERVER,
    ContainerSummary,
    LogChunk,
    LogRequest,
)
from nds_jupyter.engines.cluster import StagerSpec
from nds_jupyter.engines.swarm import tasks
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.engines.swarm.tasks import Task, newest_task
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
)

LABEL_STAGER = "nds.helper"
"""Of which job a stager's service, secret and container are; these are no job's containers."""

LABEL_STAGER_SERVER = "nds.helper-server"
"""Whose a stager's container is: not by `LABEL_SERVER`, which makes a container a job's."""

POLL_INTERVAL = 0.2
"""Seconds between two polls of a stager that is about to run, or to end."""

END_TIMEOUT = 30.0
"""Seconds between the end of a stager's log and the manager's report on how it ended."""


class StagerContainers:
    """Runs stager containers, and leaves nothing of them behind."""

    def __init__(self, nodes: Nodes, locations: TaskLocations) -> None:
        self._nodes = nodes
        self._locations = locations
        self.active: set[str] = set()
        """Jobs whose stagers this process runs."""

    async def run(self, container_id: str, spec: StagerSpec) -> AsyncGenerator[str, None]:
        """Run a stager beside a container, and give the lines that it writes.

        Raises
        ------
        EngineError
            If it ends with another exit code than 0.
        ImageNotFound
            If the node can't get its image.
        """
        location = await self._locations.find(container_id)
        job_id = location.service.removeprefix("nds-")
        self.active.add(job_id)
        try:
            await self.remove(job_id, location)
            name = await self._create(job_id, location, spec)
            container = await self._wait_for_container(name, location)
            engine = await self._locations.engine_at(location)
            async with contextlib.aclosing(
                engine.logs(container, LogRequest(follow=True))
            ) as chunks:
                async for line in _split_lines(chunks):
                    yield line
            await self._require_success(name, spec)
        finally:
            try:
                await self.remove(job_id, location)
            finally:
                self.active.discard(job_id)

    async def _create(self, job_id: str, location: TaskLocation, spec: StagerSpec) -> str:
        name = f"nds-helper-{job_id}"
        task = await self._locations.find_task(location.service)
        if task is None:
            raise ContainerNotFound(f"The container {location.container_id[:12]} does not exist.")
        owner_labels = {each: task.labels[each] for each in (LABEL_OWNER, LABEL_SERVER)}
        labels = {**owner_labels, LABEL_STAGER: job_id}
        secret_id = await self._nodes.call_manager(
            lambda manager: manager.create_secret(name, spec.secret, labels)
        )
        body = _service_body(name, labels, secret_id, location, spec)
        await self._nodes.call_manager(lambda manager: manager.create_service(body))
        return name

    async def _find_task(self, name: str) -> Task | None:
        return newest_task(
            await self._nodes.call_manager(lambda manager: manager.tasks({"service": [name]}))
        )

    async def _wait_for_container(self, name: str, location: TaskLocation) -> str:
        """Return the stager's container; the node may have to fetch its image first."""
        while True:
            task = await self._find_task(name)
            if task is not None and task.container_id is not None:
                return task.container_id
            if task is not None and task.has_ended:
                raise tasks.task_error(task)
            if await self._nodes.seconds_down(location.node_id) is not None:
                raise EngineUnavailable(
                    f"{await self._nodes.node_name(location.node_id)} went down."
                )
            await asyncio.sleep(POLL_INTERVAL)

    async def _require_success(self, name: str, spec: StagerSpec) -> None:
        try:
            async with asyncio.timeout(END_TIMEOUT):
                while True:
                    task = await self._find_task(name)
                    if task is not None and task.has_ended:
                        break
                    await asyncio.sleep(POLL_INTERVAL)
        except TimeoutError as exc:
            raise EngineUnavailable("Nobody says how the helper container ended.") from exc
        if task.state != "complete":
            raise EngineError(
                f"The helper container of {spec.image} ended with exit code {task.exit_code}"
                f"{f': {task.error}' if task.error else ''}."
            )

    async def remove(self, job_id: str, location: TaskLocation | None = None) -> None:
        """Remove a job's stager and its secret; fine if there is none.

        Parameters
        ----------
        location
            Where it ran; None if that is not known any more.
        """
        label = f"{LABEL_STAGER}={job_id}"
        for service in await self._nodes.call_manager(lambda manager: manager.services([label])):
            await self._remove_service(str(service["ID"]))
        for secret in await self._nodes.call_manager(lambda manager: manager.secrets([label])):
            await self._remove_secret(secret.id)
        # Swarm leaves the container of a task that had ended on its node.
        for engine, container_id in await self._find_containers({LABEL_STAGER: job_id}, location):
            with contextlib.suppress(EngineUnavailable, DeadlineExceeded):
                await engine.remove(container_id)

    async def _find_containers(
        self, labels: Mapping[str, str], location: TaskLocation | None
    ) -> list[tuple[NodeEngine, str]]:
        """Return containers with these labels, of one node or of all that answer."""
        if location is not None:
            engine = await self._nodes.find_engine(location.node_id)
            rows = () if engine is None else await _list_stagers(engine, labels)
            return [] if engine is None else [(engine, row.id) for row in rows]
        replies = await self._nodes.call_each_node(lambda engine: _list_stagers(engine, labels))
        found = []
        for node_id, each in replies.results.items():
            engine = await self._nodes.find_engine(node_id)
            if engine is not None:
                rows = cast("tuple[ContainerSummary, ...]", each)
                found += [(engine, row.id) for row in rows]
        return found

    async def list_jobs(self, server: str) -> set[str]:
        """Return the jobs of a server whose stagers have a service, a secret or a container."""
        labels = [f"{LABEL_SERVER}={server}", LABEL_STAGER]
        services, secrets, replies = await asyncio.gather(
            self._nodes.call_manager(lambda manager: manager.services(labels)),
            self._nodes.call_manager(lambda manager: manager.secrets(labels)),
            self._nodes.call_each_node(
                lambda engine: _list_stagers(engine, {LABEL_STAGER_SERVER: server})
            ),
        )
        rows = [row for each in replies.results.values() for row in cast("tuple[Any, ...]", each)]
        of_services = {str(each["Spec"]["Labels"][LABEL_STAGER]) for each in services}
        return of_services | {each.labels[LABEL_STAGER] for each in (*secrets, *rows)}

    async def _remove_service(self, service_id: str) -> None:
        await self._nodes.call_manager(lambda manager: manager.remove_service(service_id))

    async def _remove_secret(self, secret_id: str) -> None:
        await self._nodes.call_manager(lambda manager: manager.remove_secret(secret_id))


def _service_body(
    name: str, labels: dict[str, str], secret_id: str, location: TaskLocation, spec: StagerSpec
) -> dict[str, Any]:
    file = {"Name": spec.secret_path, "UID": "0", "GID": "0", "Mode": 0o444}
    limits = {
        "NanoCPUs": int(spec.limits.cpus * 1e9),
        "MemoryBytes": spec.limits.memory,
        "Pids": spec.limits.pids,
    }
    return {
        "Name": name,
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": spec.image,
                "Command": list(spec.command),
                "Env": ["PYTHONUNBUFFERED=1"],
                "Labels": {
                    LABEL_STAGER: labels[LABEL_STAGER],
                    LABEL_STAGER_SERVER: labels[LABEL_SERVER],
                },
                "Init": True,
                "CapabilityDrop": ["ALL"],
                "Privileges": {"NoNewPrivileges": True},
                "Mounts": [{"Type": "volume", "Source": location.service, "Target": spec.folder}],
                "Secrets": [{"SecretID": secret_id, "SecretName": name, "File": file}],
            },
            "Resources": {"Limits": limits},
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
            "Placement": {"Constraints": [f"node.id=={location.node_id}"]},
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }


async def _list_stagers(
    engine: NodeEngine, labels: Mapping[str, str]
) -> tuple[ContainerSummary, ...]:
    try:
        return await engine.containers(labels, include_ended=True)
    except (EngineUnavailable, DeadlineExceeded):
        return ()


async def _split_lines(chunks: AsyncGenerator[LogChunk, None]) -> AsyncGenerator[str, None]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    async for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk.data)).split("\n")
        for line in lines:
            yield line
    if rest:
        yield rest
