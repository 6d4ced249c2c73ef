"""Containers that nodes were heard to start: where a job is, before the manager knows it."""

from __future__ import annotations

from collections.abc import Callable

from nds_jupyter.engines.base import EngineEvent
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.whereabouts import Place
from nds_jupyter.jobs import container_name

KEPT = 5000
"""Starts that are remembered: what starts may be asked for after it was heard."""


class Arrivals:
    """Remembers starts, and tells who waits for one.

    The manager learns of a container by reports that its nodes send in batches; the node's own
    engine tells at once.

    Parameters
    ----------
    changed
        Called whenever anything is heard.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._hears: set[NodeEngine] = set()
        self._started: dict[str, Place] = {}
        self._containers: dict[str, None] = {}
        self._tell: list[Callable[[Place], None]] = []

    def listen(self, tell: Callable[[Place], None]) -> None:
        """Tell somebody of every start from now on."""
        self._tell.append(tell)

    def hear(self, engine: NodeEngine, event: EngineEvent) -> None:
        """Take note of an event of a node."""
        self._changed()
        if event.action == "connected":
            self._hears.add(engine)
        if event.action != "start" or event.task is None:
            return
        place = Place(
            service=container_name(event.job_id),
            service_id=event.task.service_id,
            container_id=event.container_id,
            task_id=event.task.task_id,
            node_id=event.task.node_id,
        )
        self._started[place.service_id] = place
        self._containers[place.container_id] = None
        for known in (self._started, self._containers):
            while len(known) > KEPT:
                del known[next(iter(known))]
        for tell in self._tell:
            tell(place)

    def hears_no_more(self) -> None:
        """Take note that nobody listens to the nodes any more."""
        self._hears.clear()

    def hears(self, engines: tuple[NodeEngine, ...]) -> bool:
        """Tell whether all these have been listened to."""
        return self._hears.issuperset(engines)

    def of_service(self, service_id: str) -> Place | None:
        """Return where a service was heard to start."""
        return self._started.get(service_id)

    def has_started(self, container_id: str) -> bool:
        """Tell whether a container was heard to start."""
        return container_id in self._containers
