"""Lists over all nodes; one that says nothing is named, not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from nds_jupyter.engines.base import LABEL_JOB, ContainerSummary, Image
from nds_jupyter.engines.swarm import tasks as values
from nds_jupyter.engines.swarm.answers import Answers
from nds_jupyter.engines.swarm.kept_rows import fits
from nds_jupyter.engines.swarm.known_tasks import KnownTasks
from nds_jupyter.engines.swarm.nodes import Nodes
from nds_jupyter.engines.swarm.tasks import Task
from nds_jupyter.engines.swarm.whereabouts import Whereabouts
from nds_jupyter.errors import EngineUnavailable, NdsError

SERVICE_LABEL = "com.docker.swarm.service.name"


async def list_containers(
    nodes: Nodes,
    known: KnownTasks,
    whereabouts: Whereabouts,
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


async def _row_of_task(nodes: Nodes, task: Task, answers: Answers) -> ContainerSummary:
    if not task.node_id:
        return values.summary(task, "", f": {values.waiting_sentence(task)}")
    name = await nodes.name_of(task.node_id)
    if task.node_id in answers.silent:
        return values.summary(task, name, f" ({name} {answers.silent[task.node_id]})")
    note = f" ({name} has no endpoint that answers)"
    return values.summary(task, name, note, waits=not task.is_let_go)


def _removed(whereabouts: Whereabouts, row: ContainerSummary) -> bool:
    return whereabouts.is_removed(row.id) or whereabouts.is_removed(row.name)


def _named_by_service(row: ContainerSummary) -> ContainerSummary:
    # The container itself is called nds-<id>.<node>.<task>.
    name = row.labels.get(SERVICE_LABEL, row.name)
    image = row.image.partition("@")[0]
    return msgspec.structs.replace(
        row, name=name, image=image, labels=values.labels_of_spec(row.labels)
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
