"""The lines of one log that are held for the pages that follow it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice, takewhile

import msgspec

from nds_jupyter.pages.messages import Line
from nds_jupyter.views import LogLine

LONGEST_TEXT = 64 * 1024
"""Characters of a line; a longer one comes in pieces."""

HELD_LINES, HELD_BYTES = 10_000, 2 * 2**20
"""How much of a log is held; a page that is further behind misses the rest."""

SLICE_LINES, SLICE_BYTES = 1000, 128 * 1024
"""How much one message carries, a line at least."""

_ENCODE = msgspec.json.Encoder().encode


class HeldLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line or piece of one, as JSON."""

    time: str
    body: bytes
    cut: bool


def slices(lines: list[LogLine]) -> Iterator[list[HeldLine]]:
    """Encode lines once for all who read them, as much at a time as one message carries."""
    taken: list[HeldLine] = []
    size = 0
    for line in _pieces(lines):
        if taken and (len(taken) == SLICE_LINES or size + len(line.body) > SLICE_BYTES):
            yield taken
            taken, size = [], 0
        taken.append(line)
        size += len(line.body)
    if taken:
        yield taken


def _pieces(lines: list[LogLine]) -> Iterator[HeldLine]:
    for line in lines:
        for start in range(0, max(1, len(line.text)), LONGEST_TEXT):
            text = line.text[start : start + LONGEST_TEXT]
            cut = line.cut or start + LONGEST_TEXT < len(line.text)
            piece = Line(stream=line.stream, time=line.time, text=text, cut=cut)
            yield HeldLine(time=line.time, body=_ENCODE(piece), cut=cut)


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines from a position on.

    Parameters
    ----------
    skipped
        Lines after the position that are no longer held.
    position
        Where the next slice begins.
    """

    lines: tuple[HeldLine, ...]
    skipped: int
    position: int


class HeldLines:
    """The last lines of a log; a position is the number of the next line to read.

    Parameters
    ----------
    most_lines, most_bytes
        What is held at most, one line at least.

    Attributes
    ----------
    first
        The position of the oldest line held.
    let_go
        The time of the last line that is no longer held.
    """

    def __init__(self, most_lines: int = HELD_LINES, most_bytes: int = HELD_BYTES) -> None:
        self._lines: deque[HeldLine] = deque()
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._bytes = 0
        self.first = 0
        self.let_go: str | None = None

    @property
    def next(self) -> int:
        """The position of who has read everything."""
        return self.first + len(self._lines)

    def add(self, line: HeldLine) -> None:
        """Hold a line, and let go of the oldest."""
        self._lines.append(line)
        self._bytes += len(line.body)
        while len(self._lines) > self._most_lines or (
            self._bytes > self._most_bytes and len(self._lines) > 1
        ):
            oldest = self._lines.popleft()
            self._bytes -= len(oldest.body)
            self.first += 1
            self.let_go = oldest.time

    def read(self, position: int) -> Slice:
        """Return the next lines from a position on, as many as one message carries."""
        start = max(position, self.first)
        taken: list[HeldLine] = []
        size = 0
        for line in islice(self._lines, start - self.first, start - self.first + SLICE_LINES):
            size += len(line.body)
            if taken and size > SLICE_BYTES:
                break
            taken.append(line)
        return Slice(
            lines=tuple(taken),
            skipped=start - position,
            position=start + len(taken),
        )

    def after(self, time: str) -> int:
        """Return the position of the first held line that is later than a time."""
        earlier = sum(1 for _ in takewhile(lambda line: line.time <= time, self._lines))
        return self.first + earlier
