"""Short-lived cache of the manager's tasks, and waiting for the state of services."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable

import msgspec

from nds_jupyter.engines.swarm.node_events import StartedContainers
from nds_jupyter.engines.swarm.nodes import BELIEVED, Nodes
from nds_jupyter.engines.swarm.task_locations import TaskLocation
from nds_jupyter.engines.swarm.tasks import Task, newest
from nds_jupyter.errors import ContainerNotFound, NdsError
from nds_jupyter.jobs.job import container_name


class TaskCache:
    """Answers for lists: whoever asks in the same second is told the same.

    What this server makes or removes, and whatever a node tells of, is asked for anew at once.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: dict[tuple[str, ...], tuple[float, tuple[Task, ...]]] = {}
        self._changes = 0

    def changed(self) -> None:
        """Take note that what was answered may not be so any more."""
        self._changes += 1
        self._known.clear()

    async def with_labels(self, labels: tuple[str, ...]) -> tuple[Task, ...]:
        """Return the tasks that carry all these labels."""
        asked_at, known = self._known.get(labels, (float("-inf"), ()))
        if time.monotonic() - asked_at < BELIEVED:
            return known
        before, now = self._changes, time.monotonic()
        tasks = await self._nodes.ask_manager(
            lambda manager: manager.tasks({"label": list(labels)})
        )
        if before == self._changes:
            self._known = {labels: (now, tasks)} | {
                each: answer
                for each, answer in self._known.items()
                if now - answer[0] < BELIEVED and each != labels
            }
        return tasks


EVERY, EVERY_IF_HEARD = 0.05, 0.5
"""Seconds between two questions; a manager tells of no task by itself, but nodes tell of starts."""


class _Waiter(msgspec.Struct, eq=False):
    accept: Callable[[Task], bool]
    service_id: str
    future: asyncio.Future[Task | TaskLocation]
    seen: Task | None = None


class TaskWatch:
    """Asks while somebody waits, and not otherwise."""

    def __init__(self, nodes: Nodes, arrivals: StartedContainers) -> None:
        self._nodes = nodes
        self._arrivals = arrivals
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._asking: asyncio.Task[None] | None = None
        arrivals.listen(self._has_started)

    async def until(
        self, service: str, accept: Callable[[Task], bool], seconds: float
    ) -> tuple[bool, Task | None]:
        """Wait until a service's newest task is accepted.

        Returns
        -------
        tuple
            Whether it was in time, and the task as it was seen last.
        """
        found = await self._until(service, "", accept, seconds)
        task = found if isinstance(found, Task) else None
        return task is not None and accept(task), task

    async def until_there(
        self, service: str, service_id: str, seconds: float
    ) -> Task | TaskLocation | None:
        """Wait until a service's newest task has a container or has ended.

        Parameters
        ----------
        service_id
            Empty where it is not known; then nodes that start it are not listened to.

        Returns
        -------
        Task, Place or None
            The task, or where it was heard to start; the task as it was seen last if it did not
            come to that in time.
        """
        if (heard := self._arrivals.of_service(service_id)) is not None:
            return heard
        return await self._until(service, service_id, _is_there, seconds)

    async def _until(
        self, service: str, service_id: str, accept: Callable[[Task], bool], seconds: float
    ) -> Task | TaskLocation | None:
        waiter = _Waiter(accept, service_id, asyncio.get_running_loop().create_future())
        self._waiters[service].add(waiter)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(seconds):
                return await waiter.future
        except TimeoutError:
            return waiter.seen
        finally:
            self._waiters[service].discard(waiter)
            if not self._waiters[service]:
                del self._waiters[service]

    def _has_started(self, place: TaskLocation) -> None:
        for waiter in self._waiters.get(place.service, ()):
            is_its = waiter.service_id and waiter.service_id == place.service_id
            if is_its and not waiter.future.done():
                waiter.future.set_result(place)

    async def _ask(self) -> None:
        while self._waiters:
            heard = self._arrivals.hears(self._nodes.endpoints)
            await asyncio.sleep(EVERY_IF_HEARD if heard else EVERY)
            services = list(self._waiters)
            if not services:
                return
            try:
                self._tell(services, await self._tasks(services))
            except ContainerNotFound:
                # One that is gone makes the manager refuse the whole question.
                await asyncio.gather(*map(self._ask_for_one, services))
            except NdsError as exc:
                self._fail(services, exc)

    async def _ask_for_one(self, service: str) -> None:
        try:
            self._tell([service], await self._tasks([service]))
        except NdsError as exc:
            self._fail([service], exc)

    async def _tasks(self, services: list[str]) -> tuple[Task, ...]:
        return await self._nodes.ask_manager(lambda manager: manager.tasks({"service": services}))

    def _tell(self, services: list[str], tasks: tuple[Task, ...]) -> None:
        by_service: defaultdict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            by_service[container_name(task.job_id)].append(task)
        for service in services:
            seen = newest(by_service[service])
            for waiter in self._waiters.get(service, ()):
                waiter.seen = seen or waiter.seen
                if seen is not None and not waiter.future.done() and waiter.accept(seen):
                    waiter.future.set_result(seen)

    def _fail(self, services: list[str], exc: NdsError) -> None:
        for service in services:
            for waiter in self._waiters.get(service, ()):
                if not waiter.future.done():
                    waiter.future.set_exception(exc)

    async def close(self) -> None:
        """End the asking."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking


def _is_there(task: Task) -> bool:
    return task.container_id is not None or task.has_ended
