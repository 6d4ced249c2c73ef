"""Configs, secrets and volumes of a Swarm.

Whatever is made here carries the labels of its job, so that it is found again after a crash.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from docker import errors as docker_errors

from nds_jupyter.engines.docker.engine import DockerEngine
from nds_jupyter.engines.docker.sdk_clients import registry_auth
from nds_jupyter.errors import ContainerNotFound, NameTaken

LABEL_PATH = "nds.path"
"""Which file of a job's container a config is."""

LABEL_LOG = "nds.log"
"""Of which container, that is gone, a config is the log."""

_OUT_OF_SEQUENCE = "out of sequence"
"""A manager's word for a service that somebody else has changed meanwhile."""


class SwarmObject(msgspec.Struct, frozen=True, kw_only=True):
    """A config, secret or volume."""

    id: str
    name: str
    labels: dict[str, str]


class SwarmObjects(DockerEngine):
    """A manager's calls for what is stored; those for volumes are any node's."""

    async def create_config(self, name: str, content: bytes, labels: Mapping[str, str]) -> str:
        """Make a config and return its id; one of that name that is there is taken for it."""
        return await self._call(
            f"The config {name}",
            lambda client: _made(
                lambda: client.create_config(name, content, dict(labels)),
                lambda: client.configs(filters={"name": name}),
                name,
            ),
        )

    async def configs(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List the configs that carry all these labels."""
        rows = await self._call(
            "The configs", lambda client: client.configs(filters={"label": labels})
        )
        return tuple(map(_stored, rows))

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
        """Make a secret and return its id; `NameTaken` if there is one."""

        def ask(client: Any) -> str:
            try:
                return str(client.create_secret(name, content, dict(labels))["ID"])
            except docker_errors.APIError as exc:
                if exc.status_code == 409:
                    raise NameTaken(f"The secret {name} exists already.") from exc
                raise

        return await self._call(f"The secret {name}", ask)

    async def secrets(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List the secrets that carry all these labels."""
        rows = await self._call(
            "The secrets", lambda client: client.secrets(filters={"label": labels})
        )
        return tuple(map(_stored, rows))

    async def remove_secret(self, secret_id: str) -> None:
        """Remove a secret; fine if it is gone."""
        await self._remove(
            f"The secret {secret_id}", lambda client: client.remove_secret(secret_id)
        )

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

    async def networks(self, labels: list[str]) -> tuple[SwarmObject, ...]:
        """List the networks that carry all these labels."""
        rows = await self._call(
            "The networks", lambda client: client.networks(filters={"label": labels})
        )
        return tuple(
            SwarmObject(id=row["Id"], name=row["Name"], labels=row.get("Labels") or {})
            for row in rows
        )

    async def _remove(self, what: str, call: Callable[[Any], object]) -> None:
        try:
            await self._call(what, call)
        except ContainerNotFound:
            return

    async def change_service(
        self, name: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> None:
        """Change a service, once: who comes second is told what the first has made of it.

        Parameters
        ----------
        change
            Given its body, returns the new one; None to leave it as it is.

        Raises
        ------
        ContainerNotFound
            If there is no such service.
        """

        def ask(client: Any) -> None:
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

        await self._call(f"The service {name}", ask)


def _made(make: Callable[[], Any], find: Callable[[], Any], name: str) -> str:
    try:
        return str(make()["ID"])
    except docker_errors.APIError:
        # Made before, by a request whose answer was lost: its name says what is in it.
        for each in find():
            if each["Spec"]["Name"] == name:
                return str(each["ID"])
        raise


def _stored(row: Mapping[str, Any]) -> SwarmObject:
    spec = row["Spec"]
    return SwarmObject(id=row["ID"], name=spec["Name"], labels=spec.get("Labels") or {})
