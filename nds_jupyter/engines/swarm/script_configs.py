"""Scripts as Swarm configs, for nodes without an endpoint."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator

from nds_jupyter.engines.base import LABEL_JOB, MOST_CARRIED
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.services import LETTING, LETTING_NAME, LETTING_PATH, OURS, ConfigFile
from nds_jupyter.engines.swarm.swarm_objects import LABEL_PATH
from nds_jupyter.engines.swarm.task_locations import TaskLocation, TaskLocations
from nds_jupyter.errors import ContainerNotFound, NoEndpoint
from nds_jupyter.jobs.sizes import size_text


class ScriptConfigs:
    """The files of containers that nothing can be put into."""

    def __init__(self, nodes: Nodes, where: TaskLocations) -> None:
        self._nodes = nodes
        self._where = where
        self._took: set[str] = set()

    def took(self, container_id: str) -> bool:
        """Whether this process has taken files for a container."""
        return container_id in self._took

    async def take(self, place: TaskLocation, folder: str, archive: bytes) -> None:
        """Keep the files of an archive until the container is let go.

        Raises
        ------
        NoEndpoint
            If they are too large for that.
        """
        if len(archive) > MOST_CARRIED + 2 * tarfile.RECORDSIZE:
            name = await self._nodes.name_of(place.node_id)
            raise NoEndpoint(
                f"{size_text(len(archive))} can't be brought to {name}, which has no endpoint. "
                "Its administrator can add one to c.NdsApp.endpoints."
            )
        task = await self._where.task_of(place.service)
        if task is None:
            raise ContainerNotFound(f"The container {place.container_id[:12]} does not exist.")
        self._took.add(place.container_id)
        whose = {name: task.labels[name] for name in OURS if name in task.labels}
        for path, content in _files(folder, archive):
            digest = hashlib.sha256(path.encode() + b"\0" + content).hexdigest()[:12]
            name, labels = f"{place.service}-{digest}", {**whose, LABEL_PATH: path}
            await self._keep(name, content, labels)

    async def _keep(self, name: str, content: bytes, labels: dict[str, str]) -> None:
        await self._nodes.ask_manager(lambda manager: manager.create_config(name, content, labels))

    async def of(self, service: str) -> tuple[ConfigFile, ...]:
        """Return what was taken for a service's container, also before a crash."""
        labels = [f"{LABEL_JOB}={service.removeprefix('nds-')}", LABEL_PATH]
        found = await self._nodes.ask_manager(lambda manager: manager.configs(labels))
        return tuple(
            ConfigFile(id=each.id, name=each.name, path=each.labels[LABEL_PATH]) for each in found
        )

    async def letting(self) -> ConfigFile:
        """Return the config of what such a container runs first."""
        made = await self._nodes.ask_manager(
            lambda manager: manager.config_id(LETTING_NAME, LETTING)
        )
        return ConfigFile(id=made, name=LETTING_NAME, path=LETTING_PATH)

    async def remove(self, place: TaskLocation) -> None:
        """Remove what was taken for a container that is removed."""
        for config in await self.of(place.service):
            await self._drop(config.id)
        self._took.discard(place.container_id)

    async def _drop(self, config_id: str) -> None:
        await self._nodes.ask_manager(lambda manager: manager.remove_config(config_id))


def _files(folder: str, archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield f"{folder.rstrip('/')}/{member.name}", content.read()
