"""Cache of one node's container list, invalidated by the node's events.

The words are those of Docker's `HumanDuration` (go-units, ``duration.go``).

An engine that lists 300 containers is busy for 40 ms, whether anything has changed or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from nds_jupyter.engines.base import (
    LABEL_JOB,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    EngineEvent,
)
from nds_jupyter.engines.docker.streams import ACTIONS
from nds_jupyter.engines.swarm.node_engine import NodeEngine

_NOTHING = "Less than a second"
_MINUTE = 60
_HOUR = 60 * _MINUTE

_COUNTING = re.compile(
    r"(?P<before>Up |(?:Exited|Restarting) \(-?\d+\) )"
    rf"(?P<age>{_NOTHING}|\d+ seconds?)(?P<after>.*)",
    re.DOTALL,
)


class AgeText(msgspec.Struct, frozen=True, kw_only=True):
    """A text that says another thing each second: ``Up 12 seconds (healthy)``.

    Parameters
    ----------
    before, after
        What stays of it.
    seconds
        How old it was when it was written, in whole seconds that had passed.
    """

    before: str
    seconds: int
    after: str

    def later(self, passed: float) -> str:
        """Return what it says after so many seconds: the engine's own may be a second ahead."""
        return f"{self.before}{age(self.seconds + int(passed))}{self.after}"


def counting(status: str) -> AgeText | None:
    """Return a text that counts seconds; None for any other: minutes and more, or no age."""
    found = _COUNTING.fullmatch(status)
    if found is None:
        return None
    said = found["age"]
    seconds = 0 if said == _NOTHING else int(said.partition(" ")[0])
    return AgeText(before=found["before"], seconds=seconds, after=found["after"])


def age(seconds: int) -> str:
    """Return the engine's words for so many seconds, of a day at most."""
    if seconds < 1:
        return _NOTHING
    if seconds < _MINUTE:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < _HOUR:
        minutes = seconds // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (seconds + _HOUR // 2) // _HOUR
    return "About an hour" if hours == 1 else f"{hours} hours"


Ask = Callable[[Mapping[str, list[str]]], Awaitable[Iterable[ContainerSummary]]]
"""Lists the containers, ended ones too, that fit filters of ``GET /containers/json``."""

SETTLES = 2.0
"""Seconds after an event until the engine's list has it for certain.

Docker 20.10 tells of an end before it tidies up, which takes 50 ms and more, and then changes what
its list is read from.
"""

KEPT = 30.0
"""Seconds after which everything is asked for again, whatever was heard."""

FEW = 50
"""Rows that are asked for one by one; if more have changed, everything is."""

REMEMBERED = 1000
"""Changes that are remembered while nobody asks for a list."""

NOBODY = "0" * 64
"""The id of no container: asking for it costs nothing, and shows that the engine answers lists."""

_GOES_ON = {ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING}
"""What an engine lists where it is not asked for ended ones."""

_PASSES = {ContainerStatus.RESTARTING, ContainerStatus.REMOVING}
"""What can end without an event."""


class _Change(msgspec.Struct):
    """When a row was last heard to change, and whether its container has ended since it started."""

    at: float
    has_ended: bool


class _Row(msgspec.Struct, frozen=True):
    """A row as it was told at a time."""

    summary: ContainerSummary
    text: AgeText | None
    at: float

    def as_of(self, now: float) -> ContainerSummary:
        if self.text is None:
            return self.summary
        return msgspec.structs.replace(self.summary, status=self.text.later(now - self.at))


class CachedContainerRows:
    """Rows of all jobs on a node, as the node's list has them.

    Every answer has asked the node something, so that one that is silent is known to be. Nothing
    is kept while nobody listens to the node, nor from a time before somebody did.

    Parameters
    ----------
    ask
        Asks the node.
    clock
        Seconds from any beginning.
    """

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._rows: dict[str, _Row] | None = None
        self._all_asked_at = -math.inf
        self._listens_since = math.inf
        self._changes: dict[str, _Change] = {}
        self._asking = asyncio.Lock()
        self._begun = 0

    @property
    def listens(self) -> bool:
        """Whether changes are heard."""
        return self._listens_since < math.inf

    def hears(self, container_id: str, action: str) -> None:
        """Take note of an event: of a container, or that the node is listened to from now on."""
        if action == "connected":
            self._listens_since = self._clock()
            return
        if not self.listens:
            # It was taken to be deaf, and is not.
            self._listens_since = self._clock()
        known = self._changes.pop(container_id, None)
        ended = action == "die" or (action != "start" and known is not None and known.has_ended)
        self._changes[container_id] = _Change(self._clock(), ended)
        while len(self._changes) > REMEMBERED:
            del self._changes[next(iter(self._changes))]

    def hears_no_more(self) -> None:
        """Forget the rows: nobody says any more what changes."""
        self._listens_since = math.inf
        self._rows = None

    @contextlib.contextmanager
    def changing(self, container_id: str) -> Iterator[None]:
        """Have a row asked for again that is changed by the block: its event may come later."""
        self._changed_here(container_id)
        try:
            yield
        finally:
            self._changed_here(container_id)

    def _changed_here(self, container_id: str) -> None:
        if self.listens:
            self.hears(container_id, "")

    async def fitting(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """Return the rows with all these labels, `LABEL_JOB` among them, as they are now."""
        begun = self._begun
        async with self._asking:
            # Who waited while a later question was asked has its answer.
            if self._rows is None or self._begun == begun:
                rows = await self._asked()
            else:
                rows = self._rows
            now = self._clock()
            return tuple(
                row.as_of(now)
                for row in rows.values()
                if (include_ended or row.summary.state in _GOES_ON)
                and fits(row.summary.labels, labels)
            )

    async def _asked(self) -> dict[str, _Row]:
        self._begun += 1
        try:
            if self._must_ask_for_all():
                return await self._ask_for_all()
            again = tuple(self._changes)
            await self._ask_for(again or (NOBODY,))
            # What was heard meanwhile was so before the answer came.
            if later := self._changes.keys() - set(again):
                await self._ask_for(tuple(later))
            return await self._ask_for_all() if self._rows is None else self._rows
        except BaseException:
            # A node that was away may have begun anew, and the stream not have noticed.
            self.hears_no_more()
            raise

    def _must_ask_for_all(self) -> bool:
        return (
            self._rows is None
            or not self._was_heard_since()
            or self._clock() - self._all_asked_at >= KEPT
            or len(self._changes) > FEW
        )

    def _was_heard_since(self) -> bool:
        """Tell whether whatever has changed since everything was asked for was heard."""
        return self._all_asked_at >= self._listens_since + SETTLES

    async def _ask_for(self, ids: tuple[str, ...]) -> None:
        """Ask for rows again; those that are not told are gone."""
        asked_at = self._clock()
        told = self._told(await self._ask({"id": list(ids), "label": [LABEL_JOB]}))
        if self._rows is None:
            return
        for each in ids:
            if each not in told:
                self._rows.pop(each, None)
        # An engine lists the newest first.
        self._rows = {each: told[each] for each in told if each not in self._rows} | self._rows
        self._rows.update(told)
        self._settle(ids, asked_at)

    async def _ask_for_all(self) -> dict[str, _Row]:
        asked_at = self._clock()
        told = self._told(await self._ask({"label": [LABEL_JOB]}))
        is_deaf = self._was_heard_since() and self._is_contradicted(told)
        self._rows, self._all_asked_at = told, asked_at
        self._settle(tuple(self._changes), asked_at)
        if is_deaf:
            self.hears_no_more()
        return told

    def _told(self, summaries: Iterable[ContainerSummary]) -> dict[str, _Row]:
        now = self._clock()
        return {each.id: _Row(each, counting(each.status), now) for each in summaries}

    def _is_contradicted(self, told: dict[str, _Row]) -> bool:
        """Tell whether something has changed that should have been heard, and was not.

        A connection that a firewall has forgotten says nothing, not even that it is lost.
        """
        if (kept := self._rows) is None:
            return False
        return any(
            _seen(kept.get(each)) != _seen(told.get(each))
            for each in (kept.keys() | told.keys()) - self._changes.keys()
        )

    def _settle(self, ids: Iterable[str], asked_at: float) -> None:
        """Forget the changes that a list has for certain which was asked for at this time."""
        rows = self._rows or {}
        for each in ids:
            change = self._changes.get(each)
            if change is None or change.at + SETTLES > asked_at:
                continue
            row = rows.get(each)
            goes_on = row is not None and row.summary.state in _GOES_ON
            if not (change.has_ended and goes_on):
                del self._changes[each]
        for each, row in rows.items():
            if row.summary.state in _PASSES and each not in self._changes:
                self._changes[each] = _Change(-math.inf, has_ended=False)


def fits(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell whether labels have all that are wanted; an empty value stands for any."""
    return all(
        name in labels and (not value or labels[name] == value) for name, value in wanted.items()
    )


def _seen(row: _Row | None) -> tuple[str, ContainerStatus] | None:
    return None if row is None else (row.summary.name, row.summary.state)


CHANGES = ("create", "pause", "unpause", "rename", "stop", "restart", "health_status")
"""What changes a row beside the actions that everybody is told of."""


class CachedNodeEngine(NodeEngine):
    """One node's engine, whose rows are kept while somebody reads `events`.

    Parameters
    ----------
    base_url
        As for `DockerEngine`.
    **bounds
        As for `DockerEngine`.
    """

    _actions = (*ACTIONS, *CHANGES)

    def __init__(self, base_url: str | None = None, **bounds: Any) -> None:
        super().__init__(base_url, **bounds)
        self._rows = CachedContainerRows(self._asked)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers that carry all these labels; those of jobs from kept rows."""
        if LABEL_JOB in labels and self._rows.listens:
            return await self._rows.fitting(labels, include_ended=include_ended)
        return await super().containers(labels, include_ended=include_ended)

    async def _asked(self, filters: Mapping[str, list[str]]) -> tuple[ContainerSummary, ...]:
        return await self._listed({"all": "1", "filters": json.dumps({**filters})})

    async def _connected_events(self, since: float | None) -> AsyncGenerator[EngineEvent, None]:
        try:
            async with contextlib.aclosing(super()._connected_events(since)) as events:
                async for event in events:
                    self._rows.hears(event.container_id, event.action)
                    if event.action not in CHANGES:
                        yield event
        finally:
            self._rows.hears_no_more()

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        container_id = await super().create(spec)
        with self._rows.changing(container_id):
            return container_id

    async def start(self, container_id: str) -> None:
        """Start a created container."""
        with self._rows.changing(container_id):
            await super().start(container_id)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        with self._rows.changing(container_id):
            await super().stop(container_id, grace)

    async def remove(self, container_id: str) -> None:
        """Remove a container, running or not."""
        with self._rows.changing(container_id):
            await super().remove(container_id)
