"""Kept rows are the node's own, whatever is heard, and when."""

from __future__ import annotations

import asyncio

import pytest

from nds_jupyter.engines.base import LABEL_JOB, LABEL_OWNER, ContainerStatus, ContainerSummary
from nds_jupyter.engines.swarm.node_cache import FEW, KEPT, REMEMBERED, SETTLES
from nds_jupyter.errors import EngineUnavailable
from tests.swarm.node_double import ALL, ENDED, RUNS, NodeDouble

NOTHING: set[str] = set()
"""What is asked for where nothing has changed: the question shows that the node answers."""


@pytest.fixture
def node() -> NodeDouble:
    """Give a node with two containers that has been listened to for a while."""
    node = NodeDouble()
    node.has("one")
    node.has("two", ENDED)
    node.listened()
    return node


async def ids(node: NodeDouble, **wanted: str) -> list[str]:
    return [row.id for row in await node.listed(**wanted)]


async def test_rows_are_asked_for_once_and_the_node_each_time(node: NodeDouble) -> None:
    assert [await ids(node) for _ in range(3)] == [["one", "two"]] * 3
    assert node.asked == [ALL, NOTHING, NOTHING]


async def test_changed_row_alone_is_asked_for_again(node: NodeDouble) -> None:
    await node.listed()
    node.becomes("one", state=ContainerStatus.PAUSED)
    node.kept.hears("one", "pause")
    assert (await node.listed())[0].state is ContainerStatus.PAUSED
    assert node.asked == [ALL, {"one"}]


async def test_new_row_comes_first_and_a_removed_one_goes(node: NodeDouble) -> None:
    await node.listed()
    node.kept.hears(node.has("three"), "create")
    del node.rows["one"]
    node.kept.hears("one", "destroy")
    assert await ids(node) == ["three", "two"]


async def test_row_is_asked_for_until_its_last_event_has_settled(node: NodeDouble) -> None:
    await node.listed()
    node.kept.hears("one", "rename")
    await node.listed()
    node.now += SETTLES / 2
    node.becomes("one", name="late")
    assert (await node.listed())[0].name == "late"
    node.now += SETTLES
    await node.listed()
    await node.listed()
    assert node.asked == [ALL, {"one"}, {"one"}, {"one"}, NOTHING]


async def test_end_that_the_list_has_late_is_waited_for(node: NodeDouble) -> None:
    await node.listed()
    for action in ("kill", "die", "stop"):
        node.kept.hears("one", action)
    for _ in range(3):
        node.now += SETTLES
        assert (await node.listed())[0].state is RUNS
    node.becomes("one", state=ENDED)
    assert (await node.listed())[0].state is ENDED
    await node.listed()
    assert node.asked == [ALL, *[{"one"}] * 4, NOTHING]


async def test_end_is_not_waited_for_after_a_later_start(node: NodeDouble) -> None:
    await node.listed()
    for action in ("die", "stop", "start", "restart"):
        node.kept.hears("one", action)
    node.now += SETTLES
    await node.listed()
    await node.listed()
    assert node.asked == [ALL, {"one"}, NOTHING]


async def test_what_can_end_without_an_event_is_asked_for_each_time(node: NodeDouble) -> None:
    node.becomes("one", state=ContainerStatus.RESTARTING)
    await node.listed()
    node.becomes("one", state=ENDED)
    assert (await node.listed())[0].state is ENDED
    await node.listed()
    assert node.asked == [ALL, {"one"}, NOTHING]


async def asked_before_a_rename(node: NodeDouble) -> asyncio.Task[list[ContainerSummary]]:
    """Ask a node, and rename what it has before it answers."""
    node.may_answer.clear()
    node.is_asked.clear()
    question = asyncio.create_task(node.listed())
    await node.is_asked.wait()
    node.becomes("two", name="renamed")
    node.kept.hears("two", "rename")
    return question


async def test_event_during_a_question_is_not_lost(node: NodeDouble) -> None:
    await node.listed()
    node.now += KEPT
    question = await asked_before_a_rename(node)
    node.now += SETTLES
    node.may_answer.set()
    await question
    assert [row.name for row in await node.listed()] == ["nds-one", "renamed"]


async def test_event_during_the_cheap_question_is_in_its_answer(node: NodeDouble) -> None:
    await node.listed()
    question = await asked_before_a_rename(node)
    node.may_answer.set()
    assert [row.name for row in await question] == ["nds-one", "renamed"]


async def test_lost_stream_leaves_nothing_kept(node: NodeDouble) -> None:
    await node.listed()
    node.kept.hears_no_more()
    assert not node.kept.listens
    node.becomes("one", state=ENDED)
    node.kept.hears("", "connected")
    assert (await node.listed())[0].state is ENDED
    node.now += SETTLES / 2
    await node.listed()
    node.now += SETTLES
    await node.listed()
    await node.listed()
    # What happened just before the stream was there may be late in the list.
    assert node.asked == [ALL, ALL, ALL, ALL, NOTHING]


async def test_stream_that_is_lost_during_a_question_leaves_nothing_kept(node: NodeDouble) -> None:
    await node.listed()
    node.may_answer.clear()
    node.is_asked.clear()
    node.kept.hears("one", "pause")
    question = asyncio.create_task(node.listed())
    await node.is_asked.wait()
    node.kept.hears_no_more()
    node.kept.hears("", "connected")
    node.becomes("two", name="renamed")
    node.may_answer.set()
    assert [row.name for row in await question] == ["nds-one", "renamed"]
    assert node.asked == [ALL, {"one"}, ALL]


async def test_stream_that_hears_nothing_is_found_out(node: NodeDouble) -> None:
    await node.listed()
    del node.rows["one"]
    node.now += KEPT
    assert await ids(node) == ["two"]
    assert not node.kept.listens
    node.kept.hears("two", "start")
    assert node.kept.listens


async def test_node_that_fails_is_asked_for_everything_next(node: NodeDouble) -> None:
    await node.listed()
    node.is_down = True
    with pytest.raises(EngineUnavailable):
        await node.listed()
    node.is_down = False
    assert not node.kept.listens
    node.becomes("one", state=ENDED)
    assert (await node.listed())[0].state is ENDED


async def test_node_that_hangs_holds_up_nobody_after_the_deadline(node: NodeDouble) -> None:
    await node.listed()
    node.may_answer.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await node.listed()
    assert not node.kept.listens
    node.may_answer.set()
    assert await ids(node) == ["one", "two"]


async def test_everything_is_asked_for_when_much_has_changed_or_time_has_passed(
    node: NodeDouble,
) -> None:
    await node.listed()
    for number in range(FEW + 1):
        node.kept.hears(node.has(f"new{number}"), "create")
    assert len(await node.listed()) == FEW + 3
    node.now += KEPT
    await node.listed()
    assert node.asked == [ALL, ALL, ALL]


async def test_changes_that_nobody_asks_for_do_not_pile_up(node: NodeDouble) -> None:
    for number in range(2 * REMEMBERED):
        node.kept.hears(f"{number}", "die")
    assert len(node.kept._changes) == REMEMBERED
    await node.listed()
    node.now += SETTLES + KEPT
    await node.listed()
    assert not node.kept._changes


async def test_filters_are_the_engine_s(node: NodeDouble) -> None:
    node.has("hers", RUNS, **{LABEL_JOB: "hers", LABEL_OWNER: "bea"})
    node.has("job's alone", ContainerStatus.CREATED, **{LABEL_JOB: "9"})
    node.has("no job's", RUNS, **{LABEL_OWNER: "ada"})
    assert await ids(node, owner="ada") == ["one", "two"]
    assert await ids(node, owner="bea") == ["hers"]
    assert await ids(node, job="9") == ["job's alone"]
    assert await ids(node) == ["one", "two", "hers", "job's alone"]
    for state in ContainerStatus:
        node.becomes("one", state=state)
        node.kept.hears("one", "rename")
        shown = [row.id for row in await node.listed(include_ended=False, owner="ada")]
        assert shown == ["one"] * (state in {"running", "paused", "restarting"})


async def test_row_of_no_job_that_is_changed_here_is_not_taken_up(node: NodeDouble) -> None:
    await node.listed()
    helper = node.has("helper", **{LABEL_OWNER: "ada"})
    with node.kept.changing(helper):
        pass
    assert await ids(node) == ["one", "two"]


async def test_what_is_changed_here_is_seen_before_its_event_comes(node: NodeDouble) -> None:
    await node.listed()
    with node.kept.changing("one"):
        node.now += 5 * SETTLES
        assert (await node.listed())[0].state is RUNS
        node.becomes("one", state=ENDED)
    assert (await node.listed())[0].state is ENDED


async def test_kept_text_goes_on_counting(node: NodeDouble) -> None:
    node.becomes("one", status="Up Less than a second")
    node.becomes("two", status="Exited (0) 50 seconds ago")
    seen = []
    for _ in range(3):
        seen.append([row.status for row in await node.listed()])
        node.now += 12
    assert seen == [
        ["Up Less than a second", "Exited (0) 50 seconds ago"],
        ["Up 12 seconds", "Exited (0) About a minute ago"],
        ["Up 24 seconds", "Exited (0) About a minute ago"],
    ]
    assert node.asked == [ALL, NOTHING, NOTHING]


async def test_lists_at_one_time_share_a_question(node: NodeDouble) -> None:
    await node.listed()
    node.may_answer.clear()
    lists = [asyncio.create_task(node.listed()) for _ in range(5)]
    await asyncio.sleep(0)
    node.may_answer.set()
    assert [[row.id for row in rows] for rows in await asyncio.gather(*lists)] == [
        ["one", "two"]
    ] * 5
    # The first's began before the others came, so one more is asked for all of these.
    assert node.asked == [ALL, NOTHING, NOTHING]
