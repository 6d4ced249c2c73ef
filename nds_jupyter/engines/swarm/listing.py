"""Lists of containers and images over all nodes; a node that does not answer is named."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import cast

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, ContainerSummary, Image
from nds_jupyter.engines.swarm import tasks
from nds_jupyter.engines.swarm.node_cache import fits
from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.nodes import NodeReplies, Nodes
from nds_jupyter.engines.swarm.task_locations import TaskLocations
from nds_jupyter.engines.swarm.task_watch import TaskCache
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.errors import EngineUnavailable, ImageNotFound, NdsError
from nds_jupyter.jobs.job import Progress

SERVICE_LABEL = "com.docker.swarm.service.name"


async def list_containers(
    nodes: Nodes,
    known: TaskCache,
    whereabouts: TaskLocations,
    labels: Mapping[str, str],
    *,
    include_ended: bool,
) -> tuple[ContainerSummary, ...]:
    """List containers by what their nodes say, and where a node says nothing, by the manager."""
    wanted = [f"{name}={value}" if value else name for name, value in labels.items()] or [LABEL_JOB]
    answers, tasks = await asyncio.gather(
        nodes.ask_each(lambda engine: engine.containers(labels, include_ended=include_ended)),
        known.with_labels(tuple(wanted)),
        return_exceptions=True,
    )
    if isinstance(answers, BaseException):
        raise answers
    if isinstance(tasks, BaseException) and not isinstance(tasks, NdsError):
        raise tasks
    if isinstance(tasks, NdsError):
        if not answers.found:
            raise tasks
        tasks = ()
    rows = [
        _named_by_service(row)
        for each in answers.found.values()
        for row in cast("tuple[ContainerSummary, ...]", each)
    ]
    shown = {row.id for row in rows}
    untold = [
        task
        for task in tasks
        if fits(task.labels, labels)
        and (include_ended or not task.has_ended)
        and (task.container_id or task.id) not in shown
        and task.node_id not in answers.found
    ]
    for task in await _of_services(nodes, untold):
        rows.append(await _row_of_task(nodes, task, answers))
    return tuple(row for row in rows if not _removed(whereabouts, row))


async def _of_services(nodes: Nodes, tasks: list[Task]) -> list[Task]:
    """Return the tasks whose service is there: a node that is lost keeps those of removed ones."""
    if not tasks:
        return []
    services = await nodes.ask_manager(lambda manager: manager.services([LABEL_JOB]))
    there = {service["ID"] for service in services}
    return [task for task in tasks if task.service_id in there]


async def _row_of_task(nodes: Nodes, task: Task, answers: NodeReplies) -> ContainerSummary:
    if not task.node_id:
        return tasks.summary(task, "", f": {tasks.waiting_sentence(task)}")
    name = await nodes.name_of(task.node_id)
    if task.node_id in answers.silent:
        return tasks.summary(task, name, f" ({name} {answers.silent[task.node_id]})")
    note = f" ({name} has no endpoint that answers)"
    return tasks.summary(task, name, note, waits=not task.is_released)


def _removed(whereabouts: TaskLocations, row: ContainerSummary) -> bool:
    return whereabouts.is_removed(row.id) or whereabouts.is_removed(row.name)


def _named_by_service(row: ContainerSummary) -> ContainerSummary:
    # The container itself is called nds-<id>.<node>.<task>.
    name = row.labels.get(SERVICE_LABEL, row.name)
    image = row.image.partition("@")[0]
    return msgspec.structs.replace(
        row, name=name, image=image, labels=tasks.labels_of_spec(row.labels)
    )


async def list_images(nodes: Nodes) -> tuple[Image, ...]:
    """List the images that any node has, each with the nodes that have it."""
    answers = await nodes.ask_each(lambda engine: engine.images())
    if not answers.found:
        raise EngineUnavailable("The Swarm does not answer, none of its nodes.")
    merged: dict[str, Image] = {}
    for node_id, images in answers.found.items():
        worker = await nodes.name_of(node_id)
        for image in cast("Iterable[Image]", images):
            for reference in image.references:
                first = merged.get(reference)
                merged[reference] = msgspec.structs.replace(
                    first or image,
                    references=(reference,),
                    workers=tuple(sorted((*(first.workers if first else ()), worker))),
                )
    return tuple(merged.values())


BELIEVED = 60.0
"""Seconds for which an image that was seen is taken to be there."""


class SwarmImages:
    """Answers whether an image can be had."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._seen: dict[str, tuple[float, Image]] = {}
        self._in_registry: dict[str, tuple[float, Image]] = {}

    async def image(self, reference: str) -> Image:
        """Return an image that a node has, or that a registry was seen to have.

        A registry does not say where programs are looked for in it; a node that has it does.
        """
        if (seen := _believed(self._seen, reference)) is not None:
            return seen
        answers = await self._nodes.ask_each(lambda engine: _image_there(engine, reference))
        found = [cast("Image", each) for each in answers.found.values() if each is not None]
        if found:
            self._seen[reference] = (time.monotonic(), found[0])
            return found[0]
        if not answers.found:
            raise EngineUnavailable("The Swarm does not answer, none of its nodes.")
        if (promised := _believed(self._in_registry, reference)) is not None:
            return promised
        raise ImageNotFound(f"The image {reference}: no node of the Swarm has it.")

    def is_root(self, reference: str) -> bool:
        """Whether containers of an image that was asked for run as root, as far as is known."""
        _, seen = self._seen.get(reference, (0.0, None))
        return seen is not None and seen.is_root

    async def find_in_registry(self, reference: str) -> AsyncGenerator[Progress, None]:
        """Ask a manager to look the image up in its registry; nothing is fetched yet."""
        image = await self._nodes.ask_manager(lambda manager: manager.registry_image(reference))
        self._in_registry[reference] = (time.monotonic(), image)
        yield Progress(done=0, total=None, unit="bytes")


def _believed(seen: dict[str, tuple[float, Image]], reference: str) -> Image | None:
    at, image = seen.get(reference, (float("-inf"), None))
    return image if time.monotonic() - at < BELIEVED else None


async def _image_there(engine: NodeEngine, reference: str) -> Image | None:
    with contextlib.suppress(ImageNotFound):
        return await engine.image(reference)
    return None
