"""The line buffer: in order, bounded, and what is missing is counted."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.live.shared_log_stream import (
    LONGEST_TEXT,
    MESSAGE_BYTES,
    LineBuffer,
    encode_batches,
)
from nds_jupyter.rest.views import LogLine
from tests.live.written import time_of


def log_of(texts: list[str]) -> list[LogLine]:
    return [
        LogLine(stream="stdout", time=time_of(number), text=text)
        for number, text in enumerate(texts)
    ]


@given(
    st.lists(st.tuples(st.text(max_size=20), st.booleans()), max_size=200),
    st.integers(1, 50),
    st.integers(1, 2000),
)
def test_what_is_read_and_what_is_skipped_is_all_there_was(
    steps: list[tuple[str, bool]], max_lines: int, max_bytes: int
) -> None:
    buffer = LineBuffer(max_lines, max_bytes)
    position = skipped = 0
    read: list[str] = []
    for line, (_, reads) in zip(log_of([text for text, _ in steps]), steps, strict=True):
        for batch in encode_batches([line]):
            for each in batch:
                buffer.add(each)
        assert buffer.end - buffer.start <= max_lines
        if reads:
            found = buffer.read(position)
            position, skipped = found.position, skipped + found.skipped
            read += [json.loads(each.body)["text"] for each in found.lines]
    while (found := buffer.read(position)).lines:
        position, skipped = found.position, skipped + found.skipped
        read += [json.loads(each.body)["text"] for each in found.lines]
    assert len(read) + skipped == len(steps)
    remaining = iter(text for text, _ in steps)
    assert all(text in remaining for text in read)


def test_long_line_is_split_and_marked() -> None:
    text = "\x00<b>" * LONGEST_TEXT
    found = [line for batch in encode_batches(log_of(["a", text, "z"])) for line in batch]
    lines = [json.loads(line.body) for line in found]
    assert "".join(line["text"] for line in lines) == f"a{text}z"
    assert [line.get("cut", False) for line in lines] == [False, *[True] * 3, False, False]
    assert len({line["time"] for line in lines[1:-1]}) == 1


@given(st.lists(st.integers(0, 3 * MESSAGE_BYTES), max_size=20))
def test_batch_is_bounded(sizes: list[int]) -> None:
    for batch in encode_batches(log_of(["x" * size for size in sizes])):
        assert batch
        assert len(batch) == 1 or sum(len(line.body) for line in batch) <= MESSAGE_BYTES
