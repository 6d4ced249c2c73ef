"""Whatever order container changes, lists and events come in: a list shows what has settled."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from nds_jupyter.engines.base import ContainerStatus
from nds_jupyter.engines.swarm.node_cache import MAX_AGE, SETTLE_SECONDS
from nds_jupyter.errors import EngineUnavailable
from tests.swarm.node_double import ENDED, RUNS, NodeDouble

NAMES = st.sampled_from("abcd")

STATES = {
    "start": RUNS,
    "unpause": RUNS,
    "pause": ContainerStatus.PAUSED,
    "die": ENDED,
    "create": ContainerStatus.CREATED,
}

SOON = SETTLE_SECONDS / 2
"""Seconds after its event in which the list has a change; an end may take longer."""


class AnyOrder(RuleBasedStateMachine):
    """A node whose list is late, and a stream that comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.node = NodeDouble()
        self.is_connected = False
        self.late: dict[str, tuple[float, ContainerStatus | None]] = {}
        self.stream_is_back()

    def teardown(self) -> None:
        self.is_listed()
        self.loop.close()

    @rule(each=NAMES, action=st.sampled_from([*STATES, "destroy"]), is_late=st.booleans())
    def happens(self, each: str, action: str, *, is_late: bool) -> None:
        # The engine does one thing after the other with a container.
        if each in self.late:
            return
        # An end whose event did not come can't be waited for.
        long = 5 * SETTLE_SECONDS if action == "die" and self.is_connected else SOON
        if self.is_connected:
            self.node.cache.record_event(each, action)
        self.late[each] = (self.node.now + long * is_late, STATES.get(action))
        self.passes(0.0)

    @rule(seconds=st.sampled_from([0.1, SOON, SETTLE_SECONDS, MAX_AGE]))
    def passes(self, seconds: float) -> None:
        self.node.now += seconds
        due = [each for each, (at, _) in self.late.items() if at <= self.node.now]
        for each in due:
            _, state = self.late.pop(each)
            if state is None:
                self.node.rows.pop(each, None)
            else:
                self.node.add(each, state)

    @rule()
    def stream_is_lost(self) -> None:
        if not any(at > self.node.now + SOON for at, _ in self.late.values()):
            self.is_connected = False
            self.node.cache.clear()

    @rule()
    def stream_is_back(self) -> None:
        self.node.cache.record_event("", "connected")
        self.is_connected = True

    @rule()
    def node_fails(self) -> None:
        self.node.is_down = True
        if self.node.cache.has_events:
            with pytest.raises(EngineUnavailable):
                self.loop.run_until_complete(self.node.list_rows())
        self.node.is_down = False

    @rule()
    def is_listed(self) -> None:
        # Without events every list is the engine's own.
        if self.node.cache.has_events:
            listed = self.loop.run_until_complete(self.node.list_rows())
            exact = {row.id: row.state for row in self.node.exact()}
            assert {row.id: row.state for row in listed} == exact


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
