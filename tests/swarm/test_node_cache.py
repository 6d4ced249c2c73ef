"""Cached rows are the node's own, whatever events come, and when."""

from __future__ import annotations

import asyncio

import pytest

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, ContainerStatus, ContainerSummary
from nds_jupyter.engines.swarm.node_cache import (
    MAX_AGE,
    MAX_CHANGED_ROWS,
    MAX_CHANGES,
    SETTLE_SECONDS,
)
from nds_jupyter.errors import EngineUnavailable
from tests.swarm.node_double import ALL, ENDED, RUNS, NodeDouble

NOTHING: set[str] = set()
"""What is fetched where nothing has changed: that shows that the node answers."""


@pytest.fixture
def node() -> NodeDouble:
    """Give a node with two containers whose events have been read for a while."""
    node = NodeDouble()
    node.add("one")
    node.add("two", ENDED)
    node.connect_events()
    return node


async def ids(node: NodeDouble, **wanted: str) -> list[str]:
    return [row.id for row in await node.list_rows(**wanted)]


async def test_rows_are_fetched_once_and_the_node_is_asked_each_time(node: NodeDouble) -> None:
    assert [await ids(node) for _ in range(3)] == [["one", "two"]] * 3
    assert node.fetched == [ALL, NOTHING, NOTHING]


async def test_changed_row_alone_is_fetched_again(node: NodeDouble) -> None:
    await node.list_rows()
    node.change("one", state=ContainerStatus.PAUSED)
    node.cache.record_event("one", "pause")
    assert (await node.list_rows())[0].state is ContainerStatus.PAUSED
    assert node.fetched == [ALL, {"one"}]


async def test_new_row_comes_first_and_a_removed_one_goes(node: NodeDouble) -> None:
    await node.list_rows()
    node.cache.record_event(node.add("three"), "create")
    del node.rows["one"]
    node.cache.record_event("one", "destroy")
    assert await ids(node) == ["three", "two"]


async def test_row_is_fetched_until_its_last_event_has_settled(node: NodeDouble) -> None:
    await node.list_rows()
    node.cache.record_event("one", "rename")
    await node.list_rows()
    node.now += SETTLE_SECONDS / 2
    node.change("one", name="late")
    assert (await node.list_rows())[0].name == "late"
    node.now += SETTLE_SECONDS
    await node.list_rows()
    await node.list_rows()
    assert node.fetched == [ALL, {"one"}, {"one"}, {"one"}, NOTHING]


async def test_end_that_the_list_has_late_is_waited_for(node: NodeDouble) -> None:
    await node.list_rows()
    for action in ("kill", "die", "stop"):
        node.cache.record_event("one", action)
    for _ in range(3):
        node.now += SETTLE_SECONDS
        assert (await node.list_rows())[0].state is RUNS
    node.change("one", state=ENDED)
    assert (await node.list_rows())[0].state is ENDED
    await node.list_rows()
    assert node.fetched == [ALL, *[{"one"}] * 4, NOTHING]


async def test_end_is_not_waited_for_after_a_later_start(node: NodeDouble) -> None:
    await node.list_rows()
    for action in ("die", "stop", "start", "restart"):
        node.cache.record_event("one", action)
    node.now += SETTLE_SECONDS
    await node.list_rows()
    await node.list_rows()
    assert node.fetched == [ALL, {"one"}, NOTHING]


async def test_what_can_end_without_an_event_is_fetched_each_time(node: NodeDouble) -> None:
    node.change("one", state=ContainerStatus.RESTARTING)
    await node.list_rows()
    node.change("one", state=ENDED)
    assert (await node.list_rows())[0].state is ENDED
    await node.list_rows()
    assert node.fetched == [ALL, {"one"}, NOTHING]


async def fetch_before_a_rename(node: NodeDouble) -> asyncio.Task[list[ContainerSummary]]:
    """Fetch from a node, and rename a container before it answers."""
    node.may_answer.clear()
    node.fetch_begun.clear()
    fetch = asyncio.create_task(node.list_rows())
    await node.fetch_begun.wait()
    node.change("two", name="renamed")
    node.cache.record_event("two", "rename")
    return fetch


async def test_event_during_a_full_fetch_is_not_lost(node: NodeDouble) -> None:
    await node.list_rows()
    node.now += MAX_AGE
    fetch = await fetch_before_a_rename(node)
    node.now += SETTLE_SECONDS
    node.may_answer.set()
    await fetch
    assert [row.name for row in await node.list_rows()] == ["nds-one", "renamed"]


async def test_event_during_a_fetch_of_nothing_is_in_its_answer(node: NodeDouble) -> None:
    await node.list_rows()
    fetch = await fetch_before_a_rename(node)
    node.may_answer.set()
    assert [row.name for row in await fetch] == ["nds-one", "renamed"]


async def test_lost_stream_clears_the_cache(node: NodeDouble) -> None:
    await node.list_rows()
    node.cache.clear()
    assert not node.cache.has_events
    node.change("one", state=ENDED)
    node.cache.record_event("", "connected")
    assert (await node.list_rows())[0].state is ENDED
    node.now += SETTLE_SECONDS / 2
    await node.list_rows()
    node.now += SETTLE_SECONDS
    await node.list_rows()
    await node.list_rows()
    # What happened just before the stream was there may be late in the list.
    assert node.fetched == [ALL, ALL, ALL, ALL, NOTHING]


async def test_stream_that_is_lost_during_a_fetch_clears_the_cache(node: NodeDouble) -> None:
    await node.list_rows()
    node.may_answer.clear()
    node.fetch_begun.clear()
    node.cache.record_event("one", "pause")
    fetch = asyncio.create_task(node.list_rows())
    await node.fetch_begun.wait()
    node.cache.clear()
    node.cache.record_event("", "connected")
    node.change("two", name="renamed")
    node.may_answer.set()
    assert [row.name for row in await fetch] == ["nds-one", "renamed"]
    assert node.fetched == [ALL, {"one"}, ALL]


async def test_stream_that_carries_no_events_is_found_out(node: NodeDouble) -> None:
    await node.list_rows()
    del node.rows["one"]
    node.now += MAX_AGE
    assert await ids(node) == ["two"]
    assert not node.cache.has_events
    node.cache.record_event("two", "start")
    assert node.cache.has_events


async def test_after_a_failure_everything_is_fetched(node: NodeDouble) -> None:
    await node.list_rows()
    node.is_down = True
    with pytest.raises(EngineUnavailable):
        await node.list_rows()
    node.is_down = False
    assert not node.cache.has_events
    node.change("one", state=ENDED)
    assert (await node.list_rows())[0].state is ENDED


async def test_node_that_hangs_holds_up_nobody_after_the_deadline(node: NodeDouble) -> None:
    await node.list_rows()
    node.may_answer.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await node.list_rows()
    assert not node.cache.has_events
    node.may_answer.set()
    assert await ids(node) == ["one", "two"]


async def test_everything_is_fetched_when_much_has_changed_or_time_has_passed(
    node: NodeDouble,
) -> None:
    await node.list_rows()
    for number in range(MAX_CHANGED_ROWS + 1):
        node.cache.record_event(node.add(f"new{number}"), "create")
    assert len(await node.list_rows()) == MAX_CHANGED_ROWS + 3
    node.now += MAX_AGE
    await node.list_rows()
    assert node.fetched == [ALL, ALL, ALL]


async def test_changes_that_nobody_reads_do_not_pile_up(node: NodeDouble) -> None:
    for number in range(2 * MAX_CHANGES):
        node.cache.record_event(f"{number}", "die")
    assert len(node.cache._changes) == MAX_CHANGES
    await node.list_rows()
    node.now += SETTLE_SECONDS + MAX_AGE
    await node.list_rows()
    assert not node.cache._changes


async def test_filters_are_the_engine_s(node: NodeDouble) -> None:
    node.add("hers", RUNS, **{LABEL_JOB: "hers", LABEL_OWNER: "bea"})
    node.add("job's alone", ContainerStatus.CREATED, **{LABEL_JOB: "9"})
    node.add("no job's", RUNS, **{LABEL_OWNER: "ada"})
    assert await ids(node, owner="ada") == ["one", "two"]
    assert await ids(node, owner="bea") == ["hers"]
    assert await ids(node, job="9") == ["job's alone"]
    assert await ids(node) == ["one", "two", "hers", "job's alone"]
    for state in ContainerStatus:
        node.change("one", state=state)
        node.cache.record_event("one", "rename")
        shown = [row.id for row in await node.list_rows(include_ended=False, owner="ada")]
        assert shown == ["one"] * (state in {"running", "paused", "restarting"})


async def test_row_of_no_job_that_is_changed_here_is_not_taken_up(node: NodeDouble) -> None:
    await node.list_rows()
    stager = node.add("stager", **{LABEL_OWNER: "ada"})
    with node.cache.invalidated(stager):
        pass
    assert await ids(node) == ["one", "two"]


async def test_what_is_changed_here_is_seen_before_its_event_comes(node: NodeDouble) -> None:
    await node.list_rows()
    with node.cache.invalidated("one"):
        node.now += 5 * SETTLE_SECONDS
        assert (await node.list_rows())[0].state is RUNS
        node.change("one", state=ENDED)
    assert (await node.list_rows())[0].state is ENDED


async def test_cached_text_goes_on_counting(node: NodeDouble) -> None:
    node.change("one", status="Up Less than a second")
    node.change("two", status="Exited (0) 50 seconds ago")
    seen = []
    for _ in range(3):
        seen.append([row.status for row in await node.list_rows()])
        node.now += 12
    assert seen == [
        ["Up Less than a second", "Exited (0) 50 seconds ago"],
        ["Up 12 seconds", "Exited (0) About a minute ago"],
        ["Up 24 seconds", "Exited (0) About a minute ago"],
    ]
    assert node.fetched == [ALL, NOTHING, NOTHING]


async def test_lists_at_one_time_share_a_fetch(node: NodeDouble) -> None:
    await node.list_rows()
    node.may_answer.clear()
    lists = [asyncio.create_task(node.list_rows()) for _ in range(5)]
    await asyncio.sleep(0)
    node.may_answer.set()
    assert [[row.id for row in rows] for rows in await asyncio.gather(*lists)] == [
        ["one", "two"]
    ] * 5
    # The first's began before the others came, so one more is made for all of these.
    assert node.fetched == [ALL, NOTHING, NOTHING]
