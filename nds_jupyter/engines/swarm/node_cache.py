"""Cache of one node's container list, invalidated by the node's events.

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
from nds_jupyter.engines.docker.streams import EVENT_ACTIONS
from nds_jupyter.engines.swarm.node_engine import NodeEngine

CHANGE_ACTIONS = ("create", "pause", "unpause", "rename", "stop", "restart", "health_status")
"""Events that change a row beside those that every reader of `events` gets."""


class CachedNodeEngine(NodeEngine):
    """One node's engine, whose list of containers is cached while somebody reads `events`.

    Parameters
    ----------
    base_url
        As for `DockerEngine`.
    **bounds
        As for `DockerEngine`.
    """

    _event_actions = (*EVENT_ACTIONS, *CHANGE_ACTIONS)

    def __init__(self, base_url: str | None = None, **bounds: Any) -> None:
        super().__init__(base_url, **bounds)
        self._container_cache = ContainerListCache(self._fetch_rows)

    async def containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """List the containers that carry all these labels; those of jobs from the cache."""
        if LABEL_JOB in labels and self._container_cache.has_events:
            return await self._container_cache.list_containers(labels, include_ended=include_ended)
        return await super().containers(labels, include_ended=include_ended)

    async def _fetch_rows(self, filters: Mapping[str, list[str]]) -> tuple[ContainerSummary, ...]:
        return await self._list_containers({"all": "1", "filters": json.dumps({**filters})})

    async def _connect_events(self, since: float | None) -> AsyncGenerator[EngineEvent, None]:
        try:
            async with contextlib.aclosing(super()._connect_events(since)) as events:
                async for event in events:
                    self._container_cache.record_event(event.container_id, event.action)
                    if event.action not in CHANGE_ACTIONS:
                        yield event
        finally:
            self._container_cache.clear()

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container."""
        container_id = await super().create(spec)
        with self._container_cache.invalidated(container_id):
            return container_id

    async def start(self, container_id: str) -> None:
        """Start a created container."""
        with self._container_cache.invalidated(container_id):
            await super().start(container_id)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask to end, and kill after `grace` seconds."""
        with self._container_cache.invalidated(container_id):
            await super().stop(container_id, grace)

    async def remove(self, container_id: str) -> None:
        """Remove a container, running or not."""
        with self._container_cache.invalidated(container_id):
            await super().remove(container_id)


FetchRows = Callable[[Mapping[str, list[str]]], Awaitable[Iterable[ContainerSummary]]]
"""Lists the containers, ended ones too, that match filters of ``GET /containers/json``."""

SETTLE_SECONDS = 2.0
"""Seconds after an event until the engine's list has it for certain.

Docker 20.10 sends the event of an end before it tidies up, which takes 50 ms and more, and only
then changes what its list is read from.
"""

MAX_AGE = 30.0
"""Seconds after which the whole list is fetched again, whatever the events were."""

MAX_CHANGED_ROWS = 50
"""Rows that are fetched one by one; if more have changed, the whole list is."""

MAX_CHANGES = 1000
"""Changes that are remembered while nobody reads the list."""

NO_CONTAINER = "0" * 64
"""The id of no container: fetching it costs nothing, and shows that the engine answers lists."""

_ALIVE = {ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.RESTARTING}
"""What an engine lists where ended containers are not included."""

_TRANSIENT = {ContainerStatus.RESTARTING, ContainerStatus.REMOVING}
"""States that can end without an event."""


class _Change(msgspec.Struct):
    """When the last event of a row came, and whether its container has ended since it started."""

    at: float
    has_ended: bool


class _CachedRow(msgspec.Struct, frozen=True):
    """A row as it was fetched at a time."""

    summary: ContainerSummary
    age: AgeText | None
    at: float

    def summary_at(self, now: float) -> ContainerSummary:
        if self.age is None:
            return self.summary
        return msgspec.structs.replace(self.summary, status=self.age.text_after(now - self.at))


class ContainerListCache:
    """Cache of the rows of all jobs' containers on a node.

    Every read asks the node something, so that one that does not answer is noticed. Nothing is
    cached while no events come from the node, nor from a time before they did.

    Parameters
    ----------
    fetch
        Asks the node.
    clock
        Seconds from any beginning.
    """

    def __init__(self, fetch: FetchRows, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._rows: dict[str, _CachedRow] | None = None
        self._all_fetched_at = -math.inf
        self._events_since = math.inf
        self._changes: dict[str, _Change] = {}
        self._refresh_lock = asyncio.Lock()
        self._refreshes_begun = 0

    @property
    def has_events(self) -> bool:
        """Whether the node's events are received."""
        return self._events_since < math.inf

    def record_event(self, container_id: str, action: str) -> None:
        """Record an event of a container, or that the stream of events is connected now."""
        if action == "connected":
            self._events_since = self._clock()
            return
        if not self.has_events:
            # The stream was taken to be lost, and is not.
            self._events_since = self._clock()
        known = self._changes.pop(container_id, None)
        ended = action == "die" or (action != "start" and known is not None and known.has_ended)
        self._changes[container_id] = _Change(self._clock(), ended)
        while len(self._changes) > MAX_CHANGES:
            del self._changes[next(iter(self._changes))]

    def clear(self) -> None:
        """Drop the rows: no events come any more that would say what changes."""
        self._events_since = math.inf
        self._rows = None

    @contextlib.contextmanager
    def invalidated(self, container_id: str) -> Iterator[None]:
        """Have a row fetched again that the block changes: its event may come later."""
        self._invalidate(container_id)
        try:
            yield
        finally:
            self._invalidate(container_id)

    def _invalidate(self, container_id: str) -> None:
        if self.has_events:
            self.record_event(container_id, "")

    async def list_containers(
        self, labels: Mapping[str, str], *, include_ended: bool
    ) -> tuple[ContainerSummary, ...]:
        """Return the rows with all these labels, `LABEL_JOB` among them, as they are now."""
        begun = self._refreshes_begun
        async with self._refresh_lock:
            # Who waited while a later refresh was made has its result.
            if self._rows is None or self._refreshes_begun == begun:
                rows = await self._refresh()
            else:
                rows = self._rows
            now = self._clock()
            return tuple(
                row.summary_at(now)
                for row in rows.values()
                if (include_ended or row.summary.state in _ALIVE)
                and labels_match(row.summary.labels, labels)
            )

    async def _refresh(self) -> dict[str, _CachedRow]:
        self._refreshes_begun += 1
        try:
            if self._needs_full_refresh():
                return await self._refresh_all()
            changed = tuple(self._changes)
            await self._refresh_rows(changed or (NO_CONTAINER,))
            # A change whose event came meanwhile was made before the answer came.
            if later := self._changes.keys() - set(changed):
                await self._refresh_rows(tuple(later))
            return await self._refresh_all() if self._rows is None else self._rows
        except BaseException:
            # A node that was away may have restarted, and the stream not have noticed.
            self.clear()
            raise

    def _needs_full_refresh(self) -> bool:
        return (
            self._rows is None
            or not self._has_events_since_full_refresh()
            or self._clock() - self._all_fetched_at >= MAX_AGE
            or len(self._changes) > MAX_CHANGED_ROWS
        )

    def _has_events_since_full_refresh(self) -> bool:
        """Tell whether there is an event for whatever has changed since the list was fetched."""
        return self._all_fetched_at >= self._events_since + SETTLE_SECONDS

    async def _refresh_rows(self, ids: tuple[str, ...]) -> None:
        """Fetch some rows again; those that the node does not list are gone."""
        fetched_at = self._clock()
        fetched = self._as_rows(await self._fetch({"id": list(ids), "label": [LABEL_JOB]}))
        if self._rows is None:
            return
        for each in ids:
            if each not in fetched:
                self._rows.pop(each, None)
        # An engine lists the newest first.
        new = {each: row for each, row in fetched.items() if each not in self._rows}
        self._rows = new | self._rows
        self._rows.update(fetched)
        self._drop_settled_changes(ids, fetched_at)

    async def _refresh_all(self) -> dict[str, _CachedRow]:
        fetched_at = self._clock()
        fetched = self._as_rows(await self._fetch({"label": [LABEL_JOB]}))
        is_stream_dead = self._has_events_since_full_refresh() and self._differs_without_event(
            fetched
        )
        self._rows, self._all_fetched_at = fetched, fetched_at
        self._drop_settled_changes(tuple(self._changes), fetched_at)
        if is_stream_dead:
            self.clear()
        return fetched

    def _as_rows(self, summaries: Iterable[ContainerSummary]) -> dict[str, _CachedRow]:
        now = self._clock()
        return {each.id: _CachedRow(each, parse_age_text(each.status), now) for each in summaries}

    def _differs_without_event(self, fetched: dict[str, _CachedRow]) -> bool:
        """Tell whether something has changed for which there should have been an event.

        A connection that a firewall has forgotten says nothing, not even that it is lost.
        """
        if (cached := self._rows) is None:
            return False
        return any(
            _name_and_state(cached.get(each)) != _name_and_state(fetched.get(each))
            for each in (cached.keys() | fetched.keys()) - self._changes.keys()
        )

    def _drop_settled_changes(self, ids: Iterable[str], fetched_at: float) -> None:
        """Forget the changes that a list has for certain which was fetched at this time."""
        rows = self._rows or {}
        for each in ids:
            change = self._changes.get(each)
            if change is None or change.at + SETTLE_SECONDS > fetched_at:
                continue
            row = rows.get(each)
            is_alive = row is not None and row.summary.state in _ALIVE
            if not (change.has_ended and is_alive):
                del self._changes[each]
        for each, row in rows.items():
            if row.summary.state in _TRANSIENT and each not in self._changes:
                self._changes[each] = _Change(-math.inf, has_ended=False)


def labels_match(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell whether labels have all that are wanted; an empty value stands for any."""
    return all(
        name in labels and (not value or labels[name] == value) for name, value in wanted.items()
    )


def _name_and_state(row: _CachedRow | None) -> tuple[str, ContainerStatus] | None:
    return None if row is None else (row.summary.name, row.summary.state)


_UNDER_A_SECOND = "Less than a second"
_MINUTE = 60
_HOUR = 60 * _MINUTE

_AGE_TEXT = re.compile(
    r"(?P<before>Up |(?:Exited|Restarting) \(-?\d+\) )"
    rf"(?P<age>{_UNDER_A_SECOND}|\d+ seconds?)(?P<after>.*)",
    re.DOTALL,
)


class AgeText(msgspec.Struct, frozen=True, kw_only=True):
    """Status text whose age grows each second: ``Up 12 seconds (healthy)``.

    Parameters
    ----------
    before, after
        The text around the age.
    seconds
        The age when it was written, in whole seconds that had passed.
    """

    before: str
    seconds: int
    after: str

    def text_after(self, passed: float) -> str:
        """Return the text after so many seconds: the engine's own may be a second ahead."""
        return f"{self.before}{format_age(self.seconds + int(passed))}{self.after}"


def parse_age_text(status: str) -> AgeText | None:
    """Return a text that counts seconds; None for any other: minutes and more, or no age."""
    match = _AGE_TEXT.fullmatch(status)
    if match is None:
        return None
    age = match["age"]
    seconds = 0 if age == _UNDER_A_SECOND else int(age.partition(" ")[0])
    return AgeText(before=match["before"], seconds=seconds, after=match["after"])


def format_age(seconds: int) -> str:
    """Return the engine's words for so many seconds, of a day at most.

    They are those of Docker's `HumanDuration` (go-units, ``duration.go``).
    """
    if seconds < 1:
        return _UNDER_A_SECOND
    if seconds < _MINUTE:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < _HOUR:
        minutes = seconds // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (seconds + _HOUR // 2) // _HOUR
    return "About an hour" if hours == 1 else f"{hours} hours"
