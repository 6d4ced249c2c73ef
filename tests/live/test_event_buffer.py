"""An owner's event buffer: no event is lost, and they do not pile up."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.jobs.job import Phase, Progress
from nds_jupyter.live.event_buffer import EventBuffer
from tests.live.written import a_job

IDS = [letter * 16 for letter in "abc"]
STEPS = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(["moved", "progressed", "deleted"])),
    max_size=60,
)


def add(event_buffer: EventBuffer, number: int, job_id: str, what: str) -> None:
    if what == "deleted":
        event_buffer.add_deletion(job_id)
    elif what == "moved":
        event_buffer.add_job(a_job(job_id, message=str(number)))
    else:
        progress = Progress(done=number, total=None, unit="bytes")
        event_buffer.add_job(a_job(job_id, phase=Phase.PULLING, progress=progress))


def read(event_buffer: EventBuffer, position: int, seen: dict[str, Any]) -> tuple[int, int]:
    """Apply what comes after a position, as a page does; return where that ends, and how many."""
    count = 0
    while (event := event_buffer.next_after(position)) is not None:
        assert event.n > position
        position, count = event.n, count + 1
        if event.body is None:
            seen.pop(event.job_id, None)
        else:
            seen[event.job_id] = json.loads(bytes(event.body))
    return position, count


@given(STEPS, STEPS, st.integers(1, 20))
def test_reader_that_resumes_knows_what_one_that_stayed_knows(
    before: list[tuple[str, str]], after: list[tuple[str, str]], capacity: int
) -> None:
    event_buffer = EventBuffer(capacity=capacity)
    stayed: dict[str, Any] = {}
    position = left_at = 0
    for number, step in enumerate(before):
        add(event_buffer, number, *step)
        position, _ = read(event_buffer, position, stayed)
    left, left_at = dict(stayed), position
    for number, step in enumerate(after, len(before)):
        add(event_buffer, number, *step)
        position, _ = read(event_buffer, position, stayed)
    resumed = event_buffer.resume_position(event_buffer.format_seq(left_at))
    assert event_buffer.holds_all_after(left_at) == (resumed is not None)
    if resumed is not None:
        _, count = read(event_buffer, resumed, left)
        assert left == stayed
        assert count <= min(capacity, len(after))
    else:
        assert len(after) > capacity or len(before) > capacity


def test_every_transition_is_kept_but_only_the_newest_progress() -> None:
    event_buffer = EventBuffer()
    for number in range(5000):
        add(event_buffer, number, IDS[0], "progressed")
        add(event_buffer, number, IDS[1], "progressed")
    add(event_buffer, 0, IDS[0], "moved")
    seen: dict[str, Any] = {}
    _, count = read(event_buffer, 0, seen)
    assert count == 2
    assert seen[IDS[1]]["progress"]["done"] == 4999
    assert seen[IDS[0]]["phase"] == "accepted"


def test_position_of_another_epoch_is_not_resumed() -> None:
    event_buffer, restarted = EventBuffer(), EventBuffer()
    for each in (event_buffer, restarted):
        add(each, 0, IDS[0], "moved")
    assert event_buffer.resume_position(event_buffer.format_seq(1)) == 1
    assert restarted.resume_position(event_buffer.format_seq(1)) is None
    assert event_buffer.resume_position(event_buffer.format_seq(2)) is None
    for nonsense in (
        "",
        "1",
        f"{event_buffer.epoch}.",
        f"{event_buffer.epoch}.-1",
        f"{event_buffer.epoch}.1 ",
        None,
    ):
        assert event_buffer.resume_position(nonsense) is None
