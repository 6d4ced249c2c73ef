"""Removes what jobs left beside their containers: after a crash, or where a node was away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, LABEL_SERVER
from nds_jupyter.engines.cluster import Fate, Fates
from nds_jupyter.engines.swarm.helpers import Helpers
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.stores import LABEL_LOG, Stored
from nds_jupyter.errors import NdsError

Call = Callable[[NodeEngine], Awaitable[object]]


class Tidying:
    """Looks for things with this server's label, and never touches any other.

    Parameters
    ----------
    remove
        Removes a service by its name, with its container.
    """

    def __init__(
        self, nodes: Nodes, helpers: Helpers, remove: Callable[[str], Awaitable[None]]
    ) -> None:
        self._nodes = nodes
        self._helpers = helpers
        self._remove = remove

    async def run(self, server: str, fates: Fates) -> int:
        """Remove what no job needs, and return how much that was."""
        own = [f"{LABEL_SERVER}={server}"]
        removed = await self._remove_helpers(server)
        services = await self._services([*own, LABEL_JOB])
        configs, networks = await asyncio.gather(
            self._nodes.ask_manager(lambda manager: manager.configs([*own, LABEL_JOB])),
            self._nodes.ask_manager(lambda manager: manager.networks([*own, LABEL_JOB])),
        )
        volumes = await self._volumes([*own, LABEL_JOB])
        left = [*services.values(), *configs, *networks, *(each for _, each in volumes)]
        fate = await fates({each.labels[LABEL_JOB]: _owner(each) for each in left})

        def is_left(each: Stored) -> bool:
            job_id = each.labels[LABEL_JOB]
            what = fate.get(job_id, Fate.ENDED)
            if LABEL_LOG in each.labels:
                return what is Fate.GONE
            return what is Fate.GONE or (what is Fate.ENDED and job_id not in services)

        for each in filter(is_left, services.values()):
            removed += await _done(self._remove(each.name))
        for each in filter(is_left, configs):
            removed += await self._by_manager(_remove_config(each.id))
        for each in filter(is_left, networks):
            removed += await self._by_manager(_remove_network(each.id))
        for engine, each in volumes:
            if is_left(each):
                removed += await _done(engine.remove_volume(each.name))
        return removed

    async def _remove_helpers(self, server: str) -> int:
        """Remove helpers that no process waits for, and their secrets."""
        removed = 0
        for job_id in await self._helpers.jobs_of(server) - self._helpers.active:
            removed += await _done(self._helpers.remove(job_id))
        return removed

    async def _services(self, labels: list[str]) -> dict[str, Stored]:
        """Return the services with these labels, by their job."""
        rows = await self._nodes.ask_manager(lambda manager: manager.services(labels))
        found = map(_of_service, rows)
        return {each.labels[LABEL_JOB]: each for each in found}

    async def _volumes(self, labels: list[str]) -> list[tuple[NodeEngine, Stored]]:
        """Return the volumes of every node that answers."""
        answers = await self._nodes.ask_each(lambda engine: engine.volumes(labels))
        found = []
        for node_id, volumes in answers.found.items():
            engine = await self._nodes.engine_of(node_id)
            if engine is not None:
                found += [(engine, each) for each in cast("Iterable[Stored]", volumes)]
        return found

    async def _by_manager(self, call: Call) -> bool:
        return await _done(self._nodes.ask_manager(call))


async def _done(removal: Awaitable[object]) -> bool:
    """Whether something could be removed; what is still in use is looked at again another time."""
    try:
        await removal
    except NdsError:
        return False
    return True


def _remove_config(config_id: str) -> Call:
    return lambda manager: manager.remove_config(config_id)


def _remove_network(network_id: str) -> Call:
    return lambda manager: manager.remove_network(network_id)


def _of_service(row: Mapping[str, Any]) -> Stored:
    spec = row["Spec"]
    return Stored(id=row["ID"], name=spec["Name"], labels=spec.get("Labels") or {})


def _owner(each: Stored) -> str:
    return each.labels.get(LABEL_OWNER, "")
