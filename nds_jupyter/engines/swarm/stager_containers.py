"""Stager containers: run on a job's node, share its volume, and have a secret of their own."""

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
from nds_jupyter.engines.swarm.tasks import Task, newest
from nds_jupyter.errors import (
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
)

LABEL_HELPER = "nds.helper"
"""Of which job a helper's service, secret and container are; these are no job's containers."""

LABEL_HELPER_SERVER = "nds.helper-server"
"""Whose a helper's container is: not by `LABEL_SERVER`, which makes a container a job's."""

EVERY = 0.2
"""Seconds between two looks at a helper that is about to run, or to end."""

ENDS_WITHIN = 30.0
"""Seconds between the end of a helper's log and the manager's word on how it ended."""


class StagerContainers:
    """Runs helpers, and leaves nothing of them behind."""

    def __init__(self, nodes: Nodes, where: TaskLocations) -> None:
        self._nodes = nodes
        self._where = where
        self.active: set[str] = set()
        """Jobs whose helpers this process runs."""

    async def run(self, container_id: str, spec: StagerSpec) -> AsyncGenerator[str, None]:
        """Run a helper beside a container, and give the lines that it writes.

        Raises
        ------
        EngineError
            If it ends with another exit code than 0.
        ImageNotFound
            If the node can't get its image.
        """
        place = await self._where.find(container_id)
        job_id = place.service.removeprefix("nds-")
        self.active.add(job_id)
        try:
            await self.remove(job_id, place)
            name = await self._make(job_id, place, spec)
            container = await self._until_there(name, place)
            engine = await self._where.engine_of(place)
            async with contextlib.aclosing(
                engine.logs(container, LogRequest(follow=True))
            ) as chunks:
                async for line in _lines(chunks):
                    yield line
            await self._expect_success(name, spec)
        finally:
            try:
                await self.remove(job_id, place)
            finally:
                self.active.discard(job_id)

    async def _make(self, job_id: str, place: TaskLocation, spec: StagerSpec) -> str:
        name = f"nds-helper-{job_id}"
        task = await self._where.task_of(place.service)
        if task is None:
            raise ContainerNotFound(f"The container {place.container_id[:12]} does not exist.")
        whose = {each: task.labels[each] for each in (LABEL_OWNER, LABEL_SERVER)}
        labels = {**whose, LABEL_HELPER: job_id}
        secret_id = await self._nodes.ask_manager(
            lambda manager: manager.create_secret(name, spec.secret, labels)
        )
        body = _service(name, labels, secret_id, place, spec)
        await self._nodes.ask_manager(lambda manager: manager.create_service(body))
        return name

    async def _task(self, name: str) -> Task | None:
        return newest(
            await self._nodes.ask_manager(lambda manager: manager.tasks({"service": [name]}))
        )

    async def _until_there(self, name: str, place: TaskLocation) -> str:
        """Return the helper's container; the node may have to fetch its image first."""
        while True:
            task = await self._task(name)
            if task is not None and task.container_id is not None:
                return task.container_id
            if task is not None and task.has_ended:
                raise tasks.failure(task)
            if await self._nodes.down_for(place.node_id) is not None:
                raise EngineUnavailable(f"{await self._nodes.name_of(place.node_id)} went down.")
            await asyncio.sleep(EVERY)

    async def _expect_success(self, name: str, spec: StagerSpec) -> None:
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                while True:
                    task = await self._task(name)
                    if task is not None and task.has_ended:
                        break
                    await asyncio.sleep(EVERY)
        except TimeoutError as exc:
            raise EngineUnavailable("Nobody says how the helper container ended.") from exc
        if task.state != "complete":
            raise EngineError(
                f"The helper container of {spec.image} ended with exit code {task.exit_code}"
                f"{f': {task.error}' if task.error else ''}."
            )

    async def remove(self, job_id: str, place: TaskLocation | None = None) -> None:
        """Remove a job's helper and its secret; fine if there is none.

        Parameters
        ----------
        place
            Where it ran; None where nobody knows any more.
        """
        label = f"{LABEL_HELPER}={job_id}"
        for service in await self._nodes.ask_manager(lambda manager: manager.services([label])):
            await self._remove_service(str(service["ID"]))
        for secret in await self._nodes.ask_manager(lambda manager: manager.secrets([label])):
            await self._remove_secret(secret.id)
        # Swarm leaves the container of a task that had ended on its node.
        for engine, container_id in await self._containers({LABEL_HELPER: job_id}, place):
            with contextlib.suppress(EngineUnavailable, DeadlineExceeded):
                await engine.remove(container_id)

    async def _containers(
        self, labels: Mapping[str, str], place: TaskLocation | None
    ) -> list[tuple[NodeEngine, str]]:
        """Return containers with these labels, of one node or of all that answer."""
        if place is not None:
            engine = await self._nodes.engine_of(place.node_id)
            rows = () if engine is None else await _rows(engine, labels)
            return [] if engine is None else [(engine, row.id) for row in rows]
        answers = await self._nodes.ask_each(lambda engine: _rows(engine, labels))
        found = []
        for node_id, each in answers.found.items():
            engine = await self._nodes.engine_of(node_id)
            if engine is not None:
                rows = cast("tuple[ContainerSummary, ...]", each)
                found += [(engine, row.id) for row in rows]
        return found

    async def jobs_of(self, server: str) -> set[str]:
        """Return the jobs of a server whose helpers have a service, a secret or a container."""
        labels = [f"{LABEL_SERVER}={server}", LABEL_HELPER]
        services, secrets, answers = await asyncio.gather(
            self._nodes.ask_manager(lambda manager: manager.services(labels)),
            self._nodes.ask_manager(lambda manager: manager.secrets(labels)),
            self._nodes.ask_each(lambda engine: _rows(engine, {LABEL_HELPER_SERVER: server})),
        )
        rows = [row for each in answers.found.values() for row in cast("tuple[Any, ...]", each)]
        of_services = {str(each["Spec"]["Labels"][LABEL_HELPER]) for each in services}
        return of_services | {each.labels[LABEL_HELPER] for each in (*secrets, *rows)}

    async def _remove_service(self, service_id: str) -> None:
        await self._nodes.ask_manager(lambda manager: manager.remove_service(service_id))

    async def _remove_secret(self, secret_id: str) -> None:
        await self._nodes.ask_manager(lambda manager: manager.remove_secret(secret_id))


def _service(
    name: str, labels: dict[str, str], secret_id: str, place: TaskLocation, spec: StagerSpec
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
                    LABEL_HELPER: labels[LABEL_HELPER],
                    LABEL_HELPER_SERVER: labels[LABEL_SERVER],
                },
                "Init": True,
                "CapabilityDrop": ["ALL"],
                "Privileges": {"NoNewPrivileges": True},
                "Mounts": [{"Type": "volume", "Source": place.service, "Target": spec.folder}],
                "Secrets": [{"SecretID": secret_id, "SecretName": name, "File": file}],
            },
            "Resources": {"Limits": limits},
            "RestartPolicy": {"Condition": "none", "MaxAttempts": 0},
            "Placement": {"Constraints": [f"node.id=={place.node_id}"]},
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
    }


async def _rows(engine: NodeEngine, labels: Mapping[str, str]) -> tuple[ContainerSummary, ...]:
    try:
        return await engine.containers(labels, include_ended=True)
    except (EngineUnavailable, DeadlineExceeded):
        return ()


async def _lines(chunks: AsyncGenerator[LogChunk, None]) -> AsyncGenerator[str, None]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    async for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk.data)).split("\n")
        for line in lines:
            yield line
    if rest:
        yield rest
