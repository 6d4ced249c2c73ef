"""An owner's job messages: none is lost, and they do not pile up."""

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


def play(feed: EventBuffer, number: int, job_id: str, what: str) -> None:
    if what == "deleted":
        feed.tell_deleted(job_id)
    elif what == "moved":
        feed.tell(a_job(job_id, message=str(number)))
    else:
        progress = Progress(done=number, total=None, unit="bytes")
        feed.tell(a_job(job_id, phase=Phase.PULLING, progress=progress))


def read(feed: EventBuffer, position: int, seen: dict[str, Any]) -> tuple[int, int]:
    """Apply what comes after a position, as a page does; return where that ends, and how many."""
    count = 0
    while (entry := feed.after(position)) is not None:
        assert entry.n > position
        position, count = entry.n, count + 1
        if entry.body is None:
            seen.pop(entry.job_id, None)
        else:
            seen[entry.job_id] = json.loads(bytes(entry.body))
    return position, count


@given(STEPS, STEPS, st.integers(1, 20))
def test_who_comes_back_knows_what_who_stayed_knows(
    before: list[tuple[str, str]], after: list[tuple[str, str]], kept: int
) -> None:
    feed = EventBuffer(kept=kept)
    stayed: dict[str, Any] = {}
    position = left_at = 0
    for number, step in enumerate(before):
        play(feed, number, *step)
        position, _ = read(feed, position, stayed)
    left, left_at = dict(stayed), position
    for number, step in enumerate(after, len(before)):
        play(feed, number, *step)
        position, _ = read(feed, position, stayed)
    resumed = feed.resume(feed.seq(left_at))
    assert feed.can_read(left_at) == (resumed is not None)
    if resumed is not None:
        _, count = read(feed, resumed, left)
        assert left == stayed
        assert count <= min(kept, len(after))
    else:
        assert len(after) > kept or len(before) > kept


def test_every_transition_is_kept_but_only_the_newest_progress() -> None:
    feed = EventBuffer()
    for number in range(5000):
        play(feed, number, IDS[0], "progressed")
        play(feed, number, IDS[1], "progressed")
    play(feed, 0, IDS[0], "moved")
    seen: dict[str, Any] = {}
    _, count = read(feed, 0, seen)
    assert count == 2
    assert seen[IDS[1]]["progress"]["done"] == 4999
    assert seen[IDS[0]]["phase"] == "accepted"


def test_position_of_another_epoch_is_not_resumed() -> None:
    feed, restarted = EventBuffer(), EventBuffer()
    for each in (feed, restarted):
        play(each, 0, IDS[0], "moved")
    assert feed.resume(feed.seq(1)) == 1
    assert restarted.resume(feed.seq(1)) is None
    assert feed.resume(feed.seq(2)) is None
    for nonsense in ("", "1", f"{feed.epoch}.", f"{feed.epoch}.-1", f"{feed.epoch}.1 ", None):
        assert feed.resume(nonsense) is None
