"""Lines of a log that is read with timestamps, however it is cut into chunks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nds_jupyter.engines.base import LogChunk, LogStream
from nds_jupyter.logs import lines as log_lines
from nds_jupyter.logs.lines import MESSAGE_SIZE, LineSplitter, message_time
from nds_jupyter.rest.views import LogLine

LENGTHS = st.sampled_from(
    [
        0,
        1,
        70,
        MESSAGE_SIZE - 1,
        MESSAGE_SIZE,
        MESSAGE_SIZE + 1,
        2 * MESSAGE_SIZE,
        2 * MESSAGE_SIZE + 7,
    ]
)


def time_of(number: int) -> str:
    return f"2026-01-01T00:00:00.{number:09}Z"


def written(lengths: list[int], *, ended: bool) -> bytes:
    """Return a log as an engine gives it: each line in messages of 16 KiB with the line's time."""
    log = b""
    for number, length in enumerate(lengths):
        pieces = [MESSAGE_SIZE] * (length // MESSAGE_SIZE) + [length % MESSAGE_SIZE] * (
            length % MESSAGE_SIZE > 0
        )
        time = time_of(number).encode()
        log += b"".join(b"%s %s" % (time, b"x" * piece) for piece in pieces or [0]) + b"\n"
    return log if ended else log[:-1]


def split(log: bytes, cuts: list[int]) -> list[LogLine]:
    splitter = LineSplitter()
    at, lines = 0, []
    for end in [*sorted(cut % (len(log) + 1) for cut in cuts), len(log)]:
        lines += splitter.feed(LogChunk(stream=LogStream.STDOUT, data=log[at:end]))
        at = end
    return lines + splitter.flush()


@given(
    lengths=st.lists(LENGTHS, min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 2**20), max_size=6),
    ended=st.booleans(),
)
# The end of a line comes after all else of it.
@example(lengths=[MESSAGE_SIZE, 1], cuts=[len(time_of(0)) + 1 + MESSAGE_SIZE], ended=True)
def test_lines_are_the_same_however_they_come(
    lengths: list[int], cuts: list[int], ended: bool
) -> None:
    found = split(written(lengths, ended=ended), cuts)
    assert [(line.time, len(line.text)) for line in found] == [
        (time_of(number), length) for number, length in enumerate(lengths)
    ]
    assert not any(line.cut for line in found)


def test_endless_line_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "LONGEST_LINE", 2 * MESSAGE_SIZE)
    found = split(written([5 * MESSAGE_SIZE], ended=True), [])
    assert [(len(line.text), line.cut) for line in found] == [
        (2 * MESSAGE_SIZE, True),
        (2 * MESSAGE_SIZE, True),
        (MESSAGE_SIZE, False),
    ]


def test_time_of_a_message_is_cut_to_microseconds() -> None:
    expected = datetime(2026, 1, 1, microsecond=123456, tzinfo=UTC)
    assert message_time("2026-01-01T00:00:00.123456789Z") == expected
