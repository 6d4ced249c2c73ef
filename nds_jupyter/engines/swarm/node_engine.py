"""Docker Engine of one node, with what a Swarm needs beyond a single engine."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from docker import errors as docker_errors

from nds_jupyter.engines.base import Image, LogChunk, LogRequest
from nds_jupyter.engines.docker.conversion import DEFAULT_PATH, moment, titled
from nds_jupyter.engines.docker.sdk_clients import registry_auth, translated
from nds_jupyter.engines.docker.streams import ASK, ended_or_lost
from nds_jupyter.engines.docker.transports import SSH_BASE
from nds_jupyter.engines.swarm import tasks
from nds_jupyter.engines.swarm.swarm_objects import SwarmObjects
from nds_jupyter.engines.swarm.tasks import Node, Task
from nds_jupyter.errors import (
    ContainerNotFound,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameTaken,
)

LABEL_STARTER = "nds.starter"

_PASSWORD = re.compile(r"(?<=[^/]):[^/@]*@")


class SwarmMembership(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of its part in a Swarm; `node_id` is empty if it is in none."""

    node_id: str
    name: str
    is_manager: bool
    managers: tuple[str, ...]
    security: tuple[str, ...]


class NodeEngine(SwarmObjects):
    """One node's engine; the calls from `swarm_nodes` on are answered by managers only.

    Parameters
    ----------
    base_url
        As for `DockerEngine`.
    **bounds
        As for `DockerEngine`.
    """

    def __init__(self, base_url: str | None = None, **bounds: Any) -> None:
        super().__init__(base_url, **bounds)
        # A password has no place in a URL, and is not shown if there is one.
        self.address = _PASSWORD.sub("@", base_url or "the local engine")

    async def membership(self) -> SwarmMembership:
        """Ask the engine which node it is."""
        data = await self._call("The node", lambda client: client.info())
        part = data.get("Swarm") or {}
        self._name = data["Name"]
        return SwarmMembership(
            node_id=part.get("NodeID") or "",
            name=data["Name"],
            is_manager=bool(part.get("ControlAvailable")),
            managers=tuple(each["NodeID"] for each in part.get("RemoteManagers") or ()),
            security=tuple(data.get("SecurityOptions") or ()),
        )

    async def registry_image(self, reference: str) -> Image:
        """Return what an image's registry says of it; `ImageNotFound` if it can't be had."""

        def ask(client: Any) -> str:
            url = client._url("/distribution/{0}/json", reference)
            response = client._get(url, headers=registry_auth(client, reference))
            client._raise_for_status(response)
            return str(response.json()["Descriptor"]["digest"])

        try:
            digest = await self._call(f"The image {reference}", ask, ImageNotFound)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            raise ImageNotFound(
                f"No node has the image {reference}, and no registry could be asked: {exc.message}"
            ) from exc
        path = tuple(DEFAULT_PATH.split(":"))
        return Image(id=digest, references=(reference,), size=0, path=path)

    async def file_time(self, container_id: str, path: str) -> datetime | None:
        """Return when a file in a container was last changed; None if it is not there."""

        def ask(client: Any) -> str | None:
            url = client._url("/containers/{0}/archive", container_id)
            response = client.head(url, params={"path": path}, timeout=client.timeout)
            if response.status_code == 404:
                return None
            client._raise_for_status(response)
            return str(response.headers["X-Docker-Container-Path-Stat"])

        stat = await self._call(f"{path} in container {container_id[:12]}", ask)
        return None if stat is None else moment(json.loads(base64.b64decode(stat))["mtime"])

    async def write_input(self, container_id: str, data: bytes) -> bool:
        """Write to the input of a container; False where a connection for that costs too much."""

        def write(client: Any) -> bool:
            if client.base_url == SSH_BASE:
                return False
            response = client._post(
                client._url("/containers/{0}/attach", container_id),
                params={"stream": 1, "stdin": 1},
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
                stream=True,
            )
            with contextlib.closing(response):
                client._raise_for_status(response)
                # The connection is no more HTTP's, and ends with what is written.
                taken_over = response.raw._fp.fp.raw._sock
                taken_over.sendall(data)
                taken_over.close()
            return True

        return await self._call(titled(container_id), write)

    async def swarm_nodes(self) -> tuple[Node, ...]:
        """List the Swarm's nodes."""
        rows = await self._get("The list of nodes", "/nodes", list[dict[str, Any]])
        return tuple(map(tasks.node, rows))

    async def tasks(self, filters: Mapping[str, list[str]]) -> tuple[Task, ...]:
        """List tasks that are not being removed."""
        params = {"filters": json.dumps({**filters})}
        rows = await self._get("The service", "/tasks", list[dict[str, Any]], params)
        found = map(tasks.task, rows)
        return tuple(task for task in found if not task.removed)

    async def create_service(self, body: Mapping[str, Any]) -> str:
        """Create a service, with the registry's credentials for the nodes; return its id."""
        name, image = body["Name"], body["TaskTemplate"]["ContainerSpec"]["Image"]

        def create(client: Any) -> str:
            headers = registry_auth(client, image)
            url = client._url("/services/create")
            response = client._post_json(url, data=body, headers=headers)
            client._raise_for_status(response)
            return str(response.json()["ID"])

        return str(await self._call(f"The service {name}", _name_taken(name, create)))

    async def remove_service(self, name: str) -> bool:
        """Remove a service, and with it its containers; False if there is none."""
        try:
            await self._call(f"The service {name}", lambda client: client.remove_service(name))
        except ContainerNotFound:
            return False
        return True

    async def services(self, labels: list[str]) -> tuple[dict[str, Any], ...]:
        """List services that carry all these labels."""
        return tuple(
            await self._call(
                "The services", lambda client: client.services(filters={"label": labels})
            )
        )

    async def config_id(self, name: str, content: str) -> str:
        """Return the id of a config, made if it is not there."""

        def there(client: Any) -> str | None:
            found = client.configs(filters={"name": name})
            return next((each["ID"] for each in found if each["Spec"]["Name"] == name), None)

        def ask(client: Any) -> str:
            known = there(client)
            if known is None:
                try:
                    made = client.create_config(name, content.encode(), {LABEL_STARTER: ""})
                except docker_errors.APIError as exc:
                    # Another server, or another job of this one, was quicker.
                    known = there(client)
                    if known is None:
                        raise exc from None
                else:
                    known = str(made["ID"])
            return known

        return await self._call(f"The config {name}", ask)

    async def create_network(self, body: Mapping[str, Any]) -> None:
        """Create a network; fine if it is there."""

        def ask(client: Any) -> None:
            response = client._post_json(client._url("/networks/create"), data=body)
            if response.status_code != 409:
                client._raise_for_status(response)

        await self._call(f"The network {body['Name']}", ask)

    async def remove_network(self, name: str) -> None:
        """Remove a network; fine if there is none."""
        try:
            await self._call(f"The network {name}", lambda client: client.remove_network(name))
        except ContainerNotFound:
            return

    def task_logs(self, task_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log through the manager, from whatever node it is on."""
        ended = self._task_has_ended(task_id) if request.follow else None
        return self._read_log("/tasks/{0}/logs", task_id, request, ended)

    def _task_has_ended(self, task_id: str) -> Callable[[], bool]:
        def ask() -> bool:
            with translated("The task"), contextlib.closing(self._clients.new(ASK)) as client:
                return tasks.task(client.inspect_task(task_id)).has_ended

        return ended_or_lost(ask)


def _name_taken(name: str, call: Any) -> Any:
    def work(client: Any) -> Any:
        try:
            return call(client)
        except docker_errors.APIError as exc:
            if exc.status_code == 409:
                raise NameTaken(f"The service {name} exists already.") from exc
            raise

    return work
