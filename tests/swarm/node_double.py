"""A node whose time passes, list changes and events are heard when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, ContainerStatus, ContainerSummary
from nds_jupyter.engines.swarm.node_cache import NOBODY, CachedContainerRows, fits
from nds_jupyter.errors import EngineUnavailable

ALL = "all"
RUNS, ENDED = ContainerStatus.RUNNING, ContainerStatus.EXITED


class NodeDouble:
    """Answers as an engine does, and counts what it is asked.

    Attributes
    ----------
    rows
        What its list says.
    asked
        The questions: `ALL`, or the ids.
    may_answer
        Whether it answers what it is asked; what it says is read before.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.rows: dict[str, ContainerSummary] = {}
        self.asked: list[object] = []
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_down = False
        self.kept = CachedContainerRows(self.ask, lambda: self.now)

    async def ask(self, filters: Mapping[str, list[str]]) -> tuple[ContainerSummary, ...]:
        assert filters["label"] == [LABEL_JOB]
        ids = filters.get("id")
        self.asked.append(ALL if ids is None else {each for each in ids if each != NOBODY})
        told = tuple(
            row
            for row in self.rows.values()
            if (ids is None or row.id in ids) and LABEL_JOB in row.labels
        )
        self.is_asked.set()
        await self.may_answer.wait()
        if self.is_down:
            raise EngineUnavailable("The Docker Engine does not answer.")
        return told

    def has(self, each: str, state: ContainerStatus = RUNS, status: str = "", **labels: str) -> str:
        """Have a container from now on, or change it; return its id."""
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

    def becomes(self, each: str, **changes: object) -> None:
        """Change what the list says of a container."""
        self.rows[each] = replace(self.rows[each], **changes)

    def listened(self) -> None:
        """Connect the stream of events, long enough ago."""
        self.kept.hears("", "connected")
        self.now += 10

    async def listed(self, *, include_ended: bool = True, **labels: str) -> list[ContainerSummary]:
        """Return the list as it is had from the kept rows."""
        wanted = {LABEL_JOB: "", **{f"nds.{name}": value for name, value in labels.items()}}
        return list(await self.kept.fitting(wanted, include_ended=include_ended))

    def exact(self) -> list[ContainerSummary]:
        """Return what the engine itself would say."""
        return [row for row in self.rows.values() if fits(row.labels, {LABEL_JOB: ""})]
