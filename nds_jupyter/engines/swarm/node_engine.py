"""Docker Engine of one node, with the calls of the Swarm API that a single engine does not need.

Whatever is created here carries the labels of its job, so that it is found again after a crash.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from docker import errors as docker_errors

from nds_jupyter.engines.base import Image, LogChunk, LogRequest
from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.docker.json_conversion import DEFAULT_PATH, container_title, parse_time
from nds_jupyter.engines.docker.sdk_clients import registry_auth
from nds_jupyter.engines.docker.sdk_errors import translate_errors
from nds_jupyter.engines.docker.streams import CHECK_TIMEOUT, ended_or_unreachable
from nds_jupyter.engines.docker.transports import SSH_BASE
from nds_jupyter.engines.swarm import tasks
from nds_jupyter.engines.swarm.tasks import Node, Task
from nds_jupyter.errors import (
    ContainerNotFound,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameTaken,
)

T = TypeVar("T")

LABEL_STARTER = "nds.starter"

LABEL_PATH = "nds.path"
"""Which file of a job's container a config is."""

LABEL_LOG = "nds.log"
"""Of which container, that is gone, a config is the log."""

_OUT_OF_SEQUENCE = "out of sequence"
"""A manager's word for a service that somebody else has changed meanwhile."""

_PASSWORD = re.compile(r"(?<=[^/]):[^/@]*@")


class SwarmMembership(msgspec.Struct, frozen=True, kw_only=True):
    """Membership of an engine in a Swarm; `node_id` is empty if it is in none."""

    node_id: str
    name: str
    is_manager: bool
    managers: tuple[str, ...]
    security: tuple[str, ...]


class SwarmObject(msgspec.Struct, frozen=True, kw_only=True):
    """A config, secret, network or volume, by its id, name and labels."""

    id: str
    name: str
    labels: dict[str, str]


class NodeEngine(DockerEngine):
    """Docker Engine of one node.

    Only managers answer calls for nodes, tasks, services, configs and secrets; those for volumes
    are about the node itself.

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
        swarm = data.get("Swarm") or {}
        self._node_name = data["Name"]
        return SwarmMembership(
            node_id=swarm.get("NodeID") or "",
            name=data["Name"],
            is_manager=bool(swarm.get("ControlAvailable")),
            managers=tuple(each["NodeID"] for each in swarm.get("RemoteManagers") or ()),
            security=tuple(data.get("SecurityOptions") or ()),
        )

    async def registry_image(self, reference: str) -> Image:
        """Return an image as its registry describes it; `ImageNotFound` if it can't be had."""

        def request(client: Any) -> str:
            url = client._url("/distribution/{0}/json", reference)
            response = client._get(url, headers=registry_auth(client, reference))
            client._raise_for_status(response)
            return str(response.json()["Descriptor"]["digest"])

        try:
            digest = await self._call(f"The image {reference}", request, ImageNotFound)
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

        def request(client: Any) -> str | None:
            url = client._url("/containers/{0}/archive", container_id)
            response = client.head(url, params={"path": path}, timeout=client.timeout)
            if response.status_code == 404:
                return None
            client._raise_for_status(response)
            return str(response.headers["X-Docker-Container-Path-Stat"])

        stat = await self._call(f"{path} in container {container_id[:12]}", request)
        return None if stat is None else parse_time(json.loads(base64.b64decode(stat))["mtime"])

    async def write_stdin(self, container_id: str, data: bytes) -> bool:
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
                upgraded = response.raw._fp.fp.raw._sock
                upgraded.sendall(data)
                upgraded.close()
            return True

        return await self._call(container_title(container_id), write)

    async def swarm_nodes(self) -> tuple[Node, ...]:
        """List the Swarm's nodes."""
        rows = await self._get("The list of nodes", "/nodes", list[dict[str, Any]])
        return tuple(map(tasks.parse_node, rows))

    async def tasks(self, filters: Mapping[str, list[str]]) -> tuple[Task, ...]:
        """List tasks that are not being removed."""
        params = {"filters": json.dumps({**filters})}
        rows = await self._get("The service", "/tasks", list[dict[str, Any]], params)
        found = map(tasks.parse_task, rows)
        return tuple(task for task in found if not task.removed)

    def task_logs(self, task_id: str, request: LogRequest) -> AsyncGenerator[LogChunk, None]:
        """Read a log through the manager, from whatever node it is on."""
        has_ended = self._task_end_check(task_id) if request.follow else None
        return self._read_log("/tasks/{0}/logs", task_id, request, has_ended)

    def _task_end_check(self, task_id: str) -> Callable[[], bool]:
        def check() -> bool:
            with (
                translate_errors("The task"),
                contextlib.closing(self._clients.new(CHECK_TIMEOUT)) as client,
            ):
                return tasks.parse_task(client.inspect_task(task_id)).has_ended

        return ended_or_unreachable(check)

    async def create_service(self, body: Mapping[str, Any]) -> str:
        """Create a service, with the registry's credentials for the nodes; return its id."""
        name, image = body["Name"], body["TaskTemplate"]["ContainerSpec"]["Image"]

        def create(client: Any) -> str:
            headers = registry_auth(client, image)
            url = client._url("/services/create")
            response = client._post_json(url, data=body, headers=headers)
            client._raise_for_status(response)
            return str(response.json()["ID"])

        what = f"The service {name}"
        return await self._call(what, _raising_name_taken(what, create))

    async def services(self, labels: list[str]) -> tuple[dict[str, Any], ...]:
        """List services that carry all these labels."""
        return tuple(
            await self._call(
                "The services", lambda client: client.services(filters={"label": labels})
            )
        )

    async def update_service(
        self, name: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> None:
        """Update a service; where somebody else was quicker, start again from what they made of it.

        Parameters
        ----------
        change
            Given its body, returns the new one; None to leave it as it is.

        Raises
        ------
        ContainerNotFound
            If there is no such service.
        """

        def request(client: Any) -> None:
            while True:
                there = client.inspect_service(name)
                body = change(there["Spec"])
                if body is None:
                    return
                url = client._url("/services/{0}/update", there["ID"])
                response = client._post_json(
                    url,
                    data=body,
                    params={"version": there["Version"]["Index"]},
                    headers=registry_auth(client, body["TaskTemplate"]["ContainerSpec"]["Image"]),
                )
                if response.ok or _OUT_OF_SEQUENCE not in response.text:
                    client._raise_for_status(response)
                    return

        await self._call(f"The service {name}", request)

    async def remove_service(self, name: str) -> bool:
        """Remove a service, and with it its containers; False if there is none."""
        try:
            await self._call(f"The service {name}", lambda client: client.remove_service(name))
        except ContainerNotFound:
            return False
        return True

    async def ensure_config(self, name: str, content: str) -> str:
        """Return the id of a config, created if it is not there."""

        def find(client: Any) -> str | None:
            found = client.configs(filters={"name": name})
            return next((each["ID"] for each in found if each["Spec"]["Name"] == name), None)

        def find_or_create(client: Any) -> str:
            known = find(client)
            if known is None:
                try:
                    created = client.create_config(name, content.encode(), {LABEL_STARTER: ""})
                except docker_errors.APIError as exc:
                    # Another server, or another job of this one, was quicker.
                    known = find(client)
                    if known is None:
                        raise exc from None
                else:
                    known = str(created["ID"])
            return known

        return await self._call(f"The config {name}", find_or_create)

    async def create_config(self, name: str, content: bytes, labels: Mapping[str, str]) -> str:
        """Create a config and return its id; one of that name that is there is taken for it."""

        def create(client: Any) -> str:
            try:
                return str(client.create_config(name, content, dict(labels))["ID"])
            except docker_errors.APIError:
                # Created before, by a request whose answer was lost: its name says what is in it.
                for each in client.configs(filters={"name": name}):
                    if each["Spec"]["Name"] == name:
                        return str(each["ID"])
                raise

        return await self._call(f"The config {name}", create)

    async def configs(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List the configs that carry all these labels."""
        rows = await self._call(
            "The configs", lambda client: client.configs(filters={"label": labels})
        )
        return tuple(map(parse_swarm_object, rows))

    async def config_data(self, config_id: str) -> bytes:
        """Return what is in a config."""
        found = await self._call(
            f"The config {config_id}", lambda client: client.inspect_config(config_id)
        )
        return base64.b64decode(found["Spec"]["Data"])

    async def remove_config(self, config_id: str) -> None:
        """Remove a config; fine if it is gone."""
        await self._remove(
            f"The config {config_id}", lambda client: client.remove_config(config_id)
        )

    async def create_secret(self, name: str, content: bytes, labels: Mapping[str, str]) -> str:
        """Create a secret and return its id; `NameTaken` if there is one."""

        def create(client: Any) -> str:
            return str(client.create_secret(name, content, dict(labels))["ID"])

        what = f"The secret {name}"
        return await self._call(what, _raising_name_taken(what, create))

    async def secrets(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List the secrets that carry all these labels."""
        rows = await self._call(
            "The secrets", lambda client: client.secrets(filters={"label": labels})
        )
        return tuple(map(parse_swarm_object, rows))

    async def remove_secret(self, secret_id: str) -> None:
        """Remove a secret; fine if it is gone."""
        await self._remove(
            f"The secret {secret_id}", lambda client: client.remove_secret(secret_id)
        )

    async def create_network(self, body: Mapping[str, Any]) -> None:
        """Create a network; fine if it is there."""

        def create(client: Any) -> None:
            response = client._post_json(client._url("/networks/create"), data=body)
            if response.status_code != 409:
                client._raise_for_status(response)

        await self._call(f"The network {body['Name']}", create)

    async def networks(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List the networks that carry all these labels."""
        rows = await self._call(
            "The networks", lambda client: client.networks(filters={"label": labels})
        )
        return tuple(
            SwarmObject(id=row["Id"], name=row["Name"], labels=row.get("Labels") or {})
            for row in rows
        )

    async def remove_network(self, name: str) -> None:
        """Remove a network; fine if there is none."""
        await self._remove(f"The network {name}", lambda client: client.remove_network(name))

    async def volumes(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List this node's volumes that carry all these labels."""
        found = await self._call(
            "The volumes", lambda client: client.volumes(filters={"label": labels})
        )
        return tuple(
            SwarmObject(id=row["Name"], name=row["Name"], labels=row.get("Labels") or {})
            for row in found.get("Volumes") or ()
        )

    async def remove_volume(self, name: str) -> None:
        """Remove a volume of this node; fine if it is gone."""
        await self._remove(f"The volume {name}", lambda client: client.remove_volume(name))

    async def _remove(self, what: str, call: Callable[[Any], object]) -> None:
        with contextlib.suppress(ContainerNotFound):
            await self._call(what, call)


def _raising_name_taken(what: str, create: Callable[[Any], T]) -> Callable[[Any], T]:
    """Return a call that raises `NameTaken` where the name is in use."""

    def call(client: Any) -> T:
        try:
            return create(client)
        except docker_errors.APIError as exc:
            if exc.status_code == 409:
                raise NameTaken(f"{what} exists already.") from exc
            raise

    return call


def parse_swarm_object(row: Mapping[str, Any]) -> SwarmObject:
    """Return a row of the manager's lists of configs, secrets or services."""
    spec = row["Spec"]
    return SwarmObject(id=row["ID"], name=spec["Name"], labels=spec.get("Labels") or {})
