"""One followed log, read from the engine once and shared by the pages that follow it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import islice, takewhile

import msgspec

from nds_jupyter.engines.base import LogRequest
from nds_jupyter.errors import (
    DeadlineExceeded,
    EngineUnavailable,
    JobNotFound,
    NdsError,
    TooBusy,
)
from nds_jupyter.live.websocket_messages import Follow, Line, normalize_time
from nds_jupyter.logs.lines import message_time
from nds_jupyter.rest.views import LogLine

LONGEST_TEXT = 64 * 1024
"""Characters of a line; a longer one comes in pieces."""

BUFFERED_LINES, BUFFERED_BYTES = 10_000, 2 * 2**20
"""How much of a log is held; a page that is further behind misses the rest."""

MESSAGE_LINES, MESSAGE_BYTES = 1000, 128 * 1024
"""How much one message carries, a line at least."""

_ENCODE = msgspec.json.Encoder().encode


class BufferedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line or piece of one, as JSON."""

    time: str
    body: bytes
    cut: bool


def encode_batches(lines: list[LogLine]) -> Iterator[list[BufferedLine]]:
    """Encode lines once for all who read them, as much at a time as one message carries."""
    taken: list[BufferedLine] = []
    size = 0
    for line in _split_long_lines(lines):
        if taken and (len(taken) == MESSAGE_LINES or size + len(line.body) > MESSAGE_BYTES):
            yield taken
            taken, size = [], 0
        taken.append(line)
        size += len(line.body)
    if taken:
        yield taken


def _split_long_lines(lines: list[LogLine]) -> Iterator[BufferedLine]:
    for line in lines:
        for start in range(0, max(1, len(line.text)), LONGEST_TEXT):
            text = line.text[start : start + LONGEST_TEXT]
            cut = line.cut or start + LONGEST_TEXT < len(line.text)
            piece = Line(stream=line.stream, time=line.time, text=text, cut=cut)
            yield BufferedLine(time=line.time, body=_ENCODE(piece), cut=cut)


class LineRange(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines from a position on.

    Parameters
    ----------
    skipped
        Lines after the position that are no longer held.
    position
        Where the next slice begins.
    """

    lines: tuple[BufferedLine, ...]
    skipped: int
    position: int


class LineBuffer:
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

    def __init__(self, most_lines: int = BUFFERED_LINES, most_bytes: int = BUFFERED_BYTES) -> None:
        self._lines: deque[BufferedLine] = deque()
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._bytes = 0
        self.first = 0
        self.let_go: str | None = None

    @property
    def next(self) -> int:
        """The position of who has read everything."""
        return self.first + len(self._lines)

    def add(self, line: BufferedLine) -> None:
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

    def read(self, position: int) -> LineRange:
        """Return the next lines from a position on, as many as one message carries."""
        start = max(position, self.first)
        taken: list[BufferedLine] = []
        size = 0
        for line in islice(self._lines, start - self.first, start - self.first + MESSAGE_LINES):
            size += len(line.body)
            if taken and size > MESSAGE_BYTES:
                break
            taken.append(line)
        return LineRange(
            lines=tuple(taken),
            skipped=start - position,
            position=start + len(taken),
        )

    def after(self, time: str) -> int:
        """Return the position of the first held line that is later than a time."""
        earlier = sum(1 for _ in takewhile(lambda line: line.time <= time, self._lines))
        return self.first + earlier


ReadLog = Callable[[str, LogRequest], AsyncGenerator[list[LogLine], None]]
"""Reads the log of a job, by its id, until the job ends."""

READER_WAIT = 1.0
"""Seconds that a log waits for its fastest page; after that, pages skip."""

READ_AHEAD = 4
"""Messages' worth of lines read ahead of the fastest page."""

RETRY_FIRST, RETRY_MOST = 0.5, 10.0
"""Seconds between attempts to read a log that can't be had now."""

_TEMPORARY_ERRORS = (EngineUnavailable, DeadlineExceeded, TooBusy)


class SharedLogStream:
    """Reads one log and holds its last lines.

    Parameters
    ----------
    job_id
        Whose log it is.
    first
        What the first follower wants: the log is read from there on.
    read
        Where the lines come from.
    """

    def __init__(self, job_id: str, first: Follow, read: ReadLog, log: logging.Logger) -> None:
        self.job_id = job_id
        self.ended = False
        self.trouble: NdsError | None = None
        self.held = LineBuffer()
        self.followers: set[LogSubscriber] = set()
        self._read = read
        self._log = log
        self._since = None if first.log_since is None else normalize_time(first.log_since)
        self._floor = self._since
        self._tail = first.log_tail if self._since is None else None
        self._taken = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def reach_back(self, tail: int) -> None:
        """Read from further back, unless so many lines are held or there are no more."""
        enough = self._tail is not None and self._tail >= tail
        if enough or self.held.next - self.held.first >= tail:
            return
        self._read_anew(None, tail)

    def reach_back_to(self, time: str) -> None:
        """Read from a time on, where those who came back so far knew more of it."""
        since = normalize_time(time)
        if self._tail is None and self._floor is not None and self._floor > since:
            self._read_anew(since, None)

    def _read_anew(self, since: str | None, tail: int | None) -> None:
        before = self._task
        before.cancel()
        self.held = LineBuffer()
        self.ended = False
        self._since = self._floor = since
        self._tail = tail
        for follower in self.followers:
            follower.go_on()
        self._task = asyncio.create_task(self._run(before))

    def has_all_after(self, time: str) -> bool:
        """Whether every line after a time is held or will be read."""
        let_go = self.held.let_go
        return (
            self._floor is not None and self._floor <= time and (let_go is None or let_go <= time)
        )

    def taken(self) -> None:
        """Read on: a follower took lines."""
        self._taken.set()

    def _wake(self) -> None:
        for follower in self.followers:
            follower.wake()

    async def _run(self, before: asyncio.Task[None] | None = None) -> None:
        if before is not None:
            # Never two readers of one log.
            await asyncio.wait([before])
        pause = RETRY_FIRST
        while not self.ended:
            try:
                await self._to_the_end()
                self.ended = True
            except _TEMPORARY_ERRORS as exc:
                self._log.info("The log of job %s is not read for now: %s", self.job_id, exc)
                self.trouble = exc
                self._wake()
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_MOST)
            except NdsError as exc:
                self.ended = True
                # Of a deleted job its pages learn by a message of its own.
                self.trouble = None if isinstance(exc, JobNotFound) else exc
            except Exception:  # noqa: BLE001 - followers must learn of the end, whatever is wrong
                self._log.exception("The log of job %s met a defect of the server.", self.job_id)
                self.ended = True
                self.trouble = NdsError("The server failed on this log; its own log says how.")
        self._wake()

    async def _to_the_end(self) -> None:
        since = self._since
        moment = None if since is None else message_time(since)
        tail = self._tail if since is None else None
        request = LogRequest(tail=tail, since=moment, follow=True)
        async with contextlib.aclosing(self._read(self.job_id, request)) as batches:
            async for lines in batches:
                self.trouble = None
                # An engine counts microseconds, so the first lines may be known.
                await self._hold([line for line in lines if since is None or line.time > since])

    async def _hold(self, lines: list[LogLine]) -> None:
        if lines and self._floor is None:
            self._floor = lines[0].time
        for number, some in enumerate(encode_batches(lines), 1):
            for line in some:
                self.held.add(line)
            self._wake()
            if number % READ_AHEAD == 0:
                await self._until_taken()
        await self._until_taken()
        complete = next((line.time for line in reversed(lines) if not line.cut), None)
        self._since = complete or self._since

    async def _until_taken(self) -> None:
        """Read no faster than the fastest page, but do not wait for ever for one that stalls."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READER_WAIT):
                while not any(each.position == self.held.next for each in self.followers):
                    self._taken.clear()
                    await self._taken.wait()


class LineBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a follower is told next: fields of a `LogLines` message."""

    lines: tuple[msgspec.Raw, ...]
    skipped: int | None
    refetch_since: str | None
    end: bool


class LogSubscriber:
    """One page's place in a followed log.

    Parameters
    ----------
    log
        What it follows; it joins at once.
    wish
        Where it begins.
    wake
        Called when there may be something to tell.
    """

    def __init__(self, log: SharedLogStream, wish: Follow, wake: Callable[[], None]) -> None:
        self.log = log
        self.wake = wake
        held = log.held
        self.position = max(held.first, held.next - wish.log_tail)
        self._since = None if wish.log_since is None else normalize_time(wish.log_since)
        self._last: str | None = None
        self._told: NdsError | None = None
        self._ended = False
        log.followers.add(self)

    def leave(self) -> None:
        """Follow no longer."""
        self.log.followers.discard(self)
        self.log.taken()

    def go_on(self) -> None:
        """Go on after the last line that was told: the log is read anew."""
        self.position = 0
        self._since = self._last or self._since

    def trouble(self) -> NdsError | None:
        """Return why the log can't be read, once each time."""
        if self._told is self.log.trouble:
            return None
        self._told = self.log.trouble
        return self._told

    def next(self) -> LineBatch | None:
        """Return what to tell next, or None if there is nothing."""
        if self._ended:
            return None
        missing = self._join() if self._since is not None else None
        found = self.log.held.read(self.position)
        skipped: int | None = found.skipped if self._last is not None else 0
        refetch = self._last if skipped else None
        if missing is not None:
            skipped, refetch = None, missing
        self.position = found.position
        self.log.taken()
        self._last = next((line.time for line in reversed(found.lines) if not line.cut), self._last)
        self._ended = self.log.ended and self.position == self.log.held.next
        if not found.lines and not self._ended:
            return None
        lines = tuple(msgspec.Raw(line.body) for line in found.lines)
        return LineBatch(lines=lines, skipped=skipped, refetch_since=refetch, end=self._ended)

    def _join(self) -> str | None:
        """Pass over what the page has; return its time if lines after that are not to be had."""
        since = self._since
        held = self.log.held
        if since is None:
            return None
        self.position = held.after(since)
        if self.position == held.next:
            # All of these are known; more known ones may be on their way.
            return None
        self._since, self._last = None, since
        return None if self.log.has_all_after(since) else since
