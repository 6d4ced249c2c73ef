"""What a followed log lacks at its end, found by reading its end again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.engines.base import LogChunk, LogStream
from nds_jupyter.log_end import KEPT, LAST_MESSAGES, OpenLines, beyond
from nds_jupyter.logs import MESSAGE

OUT, ERR = LogStream.STDOUT, LogStream.STDERR
TEXTS = st.lists(st.sampled_from([b"a", b"b", b"\n", b"0123456789" * 5]), max_size=12)


def lines_of(*chunks: tuple[LogStream, bytes]) -> OpenLines:
    found = OpenLines()
    for stream, data in chunks:
        found.add(LogChunk(stream=stream, data=data))
    return found


def test_open_line_that_did_not_come_is_given_on_its_own_stream() -> None:
    given = lines_of((OUT, b"one\n"), (ERR, b"bad"))
    there = lines_of((OUT, b"one\ntwo"), (ERR, b"bad"))
    assert [(each.stream, each.data) for each in there.beyond(given)] == [(OUT, b"two")]
    assert there.beyond(there) == []


@pytest.mark.parametrize("came", range(7))
def test_long_line_is_completed_though_only_its_last_pieces_are_read_again(came: int) -> None:
    pieces = [f"{number:04d}".encode() * (MESSAGE // 4) for number in range(6)] + [b"end"]
    given = lines_of(*((OUT, piece) for piece in pieces[:came]))
    there = lines_of(*((OUT, piece) for piece in pieces[-LAST_MESSAGES:]))
    if came < len(pieces) - LAST_MESSAGES:
        return
    assert [each.data for each in there.beyond(given)] == [b"".join(pieces[came:])]
    assert LAST_MESSAGES * MESSAGE < KEPT


@given(TEXTS, st.integers(0, 12), st.integers(0, 12))
def test_nothing_comes_twice_and_nothing_is_lost(parts: list[bytes], came: int, again: int) -> None:
    text, had = b"".join(parts), b"".join(parts[:came])
    last = text.rpartition(b"\n")[2]
    if came < len(parts) and b"\n" in b"".join(parts[came:]):
        # Only a line without an end can be missing.
        return
    assert had + beyond(had.rpartition(b"\n")[2], last) == text
