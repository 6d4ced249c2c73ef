"""A node whose clock, container list and events a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, ContainerStatus, ContainerSummary
from nds_jupyter.engines.swarm.node_cache import NO_CONTAINER, ContainerListCache, labels_match
from nds_jupyter.errors import EngineUnavailable

ALL = "all"
RUNS, ENDED = ContainerStatus.RUNNING, ContainerStatus.EXITED


class NodeDouble:
    """Fake of a node's engine that records what is fetched from it.

    Attributes
    ----------
    rows
        What its list says.
    fetched
        What was fetched: `ALL`, or the ids.
    may_answer
        Whether it answers; the rows are read before.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.rows: dict[str, ContainerSummary] = {}
        self.fetched: list[object] = []
        self.fetch_begun = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_down = False
        self.cache = ContainerListCache(self.fetch, lambda: self.now)

    async def fetch(self, filters: Mapping[str, list[str]]) -> tuple[ContainerSummary, ...]:
        assert filters["label"] == [LABEL_JOB]
        ids = filters.get("id")
        self.fetched.append(ALL if ids is None else {each for each in ids if each != NO_CONTAINER})
        rows = tuple(
            row
            for row in self.rows.values()
            if (ids is None or row.id in ids) and LABEL_JOB in row.labels
        )
        self.fetch_begun.set()
        await self.may_answer.wait()
        if self.is_down:
            raise EngineUnavailable("The Docker Engine does not answer.")
        return rows

    def add(self, each: str, state: ContainerStatus = RUNS, status: str = "", **labels: str) -> str:
        """Add a container, or replace it; return its id."""
        of_job = {LABEL_JOB: each, LABEL_OWNER: "ada"}
        self.rows[each] = ContainerSummary(
            id=each,
            name=f"nds-{each}",
            image="nds/shell:test",
            state=state,
            status=status,
            created=datetime.fromtimestamp(self.now, UTC),
            labels=labels or of_job,
            worker="node1",
        )
        return each

    def change(self, each: str, **changes: object) -> None:
        """Change what the list says of a container."""
        self.rows[each] = replace(self.rows[each], **changes)

    def connect_events(self) -> None:
        """Connect the stream of events, long enough ago for a full list to be cached."""
        self.cache.record_event("", "connected")
        self.now += 10

    async def list_rows(
        self, *, include_ended: bool = True, **labels: str
    ) -> list[ContainerSummary]:
        """Return the list as the cache has it."""
        wanted = {LABEL_JOB: "", **{f"nds.{name}": value for name, value in labels.items()}}
        return list(await self.cache.list_containers(wanted, include_ended=include_ended))

    def exact(self) -> list[ContainerSummary]:
        """Return the engine's own list."""
        return [row for row in self.rows.values() if labels_match(row.labels, {LABEL_JOB: ""})]
