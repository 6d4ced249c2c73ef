"""Cached texts of an age go on counting as the engine's own do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.engines.swarm.node_cache import format_age, parse_age_text

BEFORE = st.sampled_from(["Up ", "Exited (0) ", "Exited (137) ", "Exited (-1) ", "Restarting (1) "])
AFTER = st.sampled_from(["", " ago", " (healthy)", " (health: starting)", " (Paused)"])


@pytest.mark.parametrize(
    ("status", "passed", "later"),
    [
        ("Up Less than a second", 0.9, "Up Less than a second"),
        ("Up Less than a second", 1.0, "Up 1 second"),
        ("Up 1 second", 1.2, "Up 2 seconds"),
        ("Up 12 seconds (healthy)", 5, "Up 17 seconds (healthy)"),
        ("Up 40 seconds (Paused)", 30, "Up About a minute (Paused)"),
        ("Up 59 seconds (health: starting)", 61, "Up 2 minutes (health: starting)"),
        ("Exited (0) 5 seconds ago", 10, "Exited (0) 15 seconds ago"),
        ("Exited (137) 2 seconds ago", 3600, "Exited (137) About an hour ago"),
        ("Restarting (1) 3 seconds ago", 2 * 3600, "Restarting (1) 2 hours ago"),
    ],
)
def test_text_that_counts_seconds_goes_on(status: str, passed: float, later: str) -> None:
    text = parse_age_text(status)
    assert text is not None
    assert text.text_after(passed) == later


@pytest.mark.parametrize(
    "status",
    ["Created", "Dead", "Removal In Progress", "", "Up About a minute", "Up 5 weeks (healthy)"],
)
def test_text_that_counts_no_seconds_is_left(status: str) -> None:
    assert parse_age_text(status) is None


@given(BEFORE, st.integers(0, 59), AFTER)
def test_text_at_once_is_the_same(before: str, seconds: int, after: str) -> None:
    status = f"{before}{format_age(seconds)}{after}"
    text = parse_age_text(status)
    assert text is not None
    assert text.text_after(0) == status


@given(BEFORE, st.floats(0, 59.9), st.floats(0, 4000), AFTER)
def test_text_is_a_second_behind_at_most(
    before: str, old: float, passed: float, after: str
) -> None:
    text = parse_age_text(f"{before}{format_age(int(old))}{after}")
    assert text is not None
    now = int(old + passed)
    assert text.text_after(passed) in {f"{before}{format_age(at)}{after}" for at in (now - 1, now)}
