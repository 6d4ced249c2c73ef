"""Shared log streams: a log is read from the engine once, whoever follows it.

`SharedLogStream` reads it into a `LineBuffer`; each follower has a `LogSubscriber`, a position.
"""

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
"""Characters of a line; a longer one is split."""

BUFFERED_LINES, BUFFERED_BYTES = 10_000, 2 * 2**20
"""How much of a log is buffered; a subscriber that is further behind misses the rest."""

MESSAGE_LINES, MESSAGE_BYTES = 1000, 128 * 1024
"""How much one message carries, a line at least."""

_ENCODE = msgspec.json.Encoder().encode


class BufferedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line, or a part of a long one, as JSON."""

    time: str
    body: bytes
    cut: bool


def encode_batches(lines: list[LogLine]) -> Iterator[list[BufferedLine]]:
    """Encode lines once for all subscribers, in batches that one message carries."""
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
            part = Line(stream=line.stream, time=line.time, text=text, cut=cut)
            yield BufferedLine(time=line.time, body=_ENCODE(part), cut=cut)


class LineRange(msgspec.Struct, frozen=True, kw_only=True):
    """Buffered lines from a position on.

    Parameters
    ----------
    skipped
        Lines after the position that are no longer buffered.
    position
        The position after these lines.
    """

    lines: tuple[BufferedLine, ...]
    skipped: int
    position: int


class LineBuffer:
    """Bounded buffer of a log's last lines; a position is the number of the next line to read.

    Parameters
    ----------
    max_lines, max_bytes
        What is buffered at most, one line at least.

    Attributes
    ----------
    start
        The position of the oldest line.
    last_dropped_time
        The time of the last line that is no longer buffered.
    """

    def __init__(self, max_lines: int = BUFFERED_LINES, max_bytes: int = BUFFERED_BYTES) -> None:
        self._lines: deque[BufferedLine] = deque()
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._bytes = 0
        self.start = 0
        self.last_dropped_time: str | None = None

    @property
    def end(self) -> int:
        """The position of a reader that has read everything."""
        return self.start + len(self._lines)

    def add(self, line: BufferedLine) -> None:
        """Add a line, and drop the oldest ones if the buffer is full."""
        self._lines.append(line)
        self._bytes += len(line.body)
        while len(self._lines) > self._max_lines or (
            self._bytes > self._max_bytes and len(self._lines) > 1
        ):
            oldest = self._lines.popleft()
            self._bytes -= len(oldest.body)
            self.start += 1
            self.last_dropped_time = oldest.time

    def read(self, position: int) -> LineRange:
        """Return the next lines from a position on, as many as one message carries."""
        start = max(position, self.start)
        taken: list[BufferedLine] = []
        size = 0
        for line in islice(self._lines, start - self.start, start - self.start + MESSAGE_LINES):
            size += len(line.body)
            if taken and size > MESSAGE_BYTES:
                break
            taken.append(line)
        return LineRange(
            lines=tuple(taken),
            skipped=start - position,
            position=start + len(taken),
        )

    def position_after(self, time: str) -> int:
        """Return the position of the first buffered line that is later than a time."""
        earlier = sum(1 for _ in takewhile(lambda line: line.time <= time, self._lines))
        return self.start + earlier


ReadLog = Callable[[str, LogRequest], AsyncGenerator[list[LogLine], None]]
"""Reads the log of a job, by its id, until the job ends."""

READER_WAIT = 1.0
"""Seconds that a stream waits for its fastest subscriber; after that, subscribers skip lines."""

READ_AHEAD = 4
"""Messages' worth of lines read ahead of the fastest subscriber."""

FIRST_RETRY_DELAY, MAX_RETRY_DELAY = 0.5, 10.0
"""Seconds between attempts to read a log that can't be had now."""

_TEMPORARY_ERRORS = (EngineUnavailable, DeadlineExceeded, TooBusy)


class SharedLogStream:
    """Stream of one job's log into a buffer that its subscribers read.

    Parameters
    ----------
    first
        What the first subscriber follows: the log is read from there on.
    read
        Reads the log.
    """

    def __init__(self, job_id: str, first: Follow, read: ReadLog, log: logging.Logger) -> None:
        self.job_id = job_id
        self.ended = False
        self.error: NdsError | None = None
        self.buffer = LineBuffer()
        self.subscribers: set[LogSubscriber] = set()
        self._read_log = read
        self._log = log
        self._since = None if first.log_since is None else normalize_time(first.log_since)
        self._earliest_time = self._since
        self._tail = first.log_tail if self._since is None else None
        self._lines_read = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def extend_back(self, tail: int) -> None:
        """Read from further back, unless so many lines are buffered or there are no more."""
        enough = self._tail is not None and self._tail >= tail
        if enough or self.buffer.end - self.buffer.start >= tail:
            return
        self._restart(None, tail)

    def extend_back_to(self, time: str) -> None:
        """Read from a time on, if the subscribers so far needed less of the past."""
        since = normalize_time(time)
        if self._tail is None and self._earliest_time is not None and self._earliest_time > since:
            self._restart(since, None)

    def _restart(self, since: str | None, tail: int | None) -> None:
        before = self._task
        before.cancel()
        self.buffer = LineBuffer()
        self.ended = False
        self._since = self._earliest_time = since
        self._tail = tail
        for log_subscriber in self.subscribers:
            log_subscriber.rejoin()
        self._task = asyncio.create_task(self._run(before))

    def holds_all_after(self, time: str) -> bool:
        """Return whether every line after a time is buffered or will be read."""
        last_dropped_time = self.buffer.last_dropped_time
        return (
            self._earliest_time is not None
            and self._earliest_time <= time
            and (last_dropped_time is None or last_dropped_time <= time)
        )

    def note_read(self) -> None:
        """Read on: a subscriber has read lines."""
        self._lines_read.set()

    def _wake(self) -> None:
        for log_subscriber in self.subscribers:
            log_subscriber.wake()

    async def _run(self, before: asyncio.Task[None] | None = None) -> None:
        if before is not None:
            # Never two readers of one log.
            await asyncio.wait([before])
        pause = FIRST_RETRY_DELAY
        while not self.ended:
            try:
                await self._read_to_end()
                self.ended = True
            except _TEMPORARY_ERRORS as exc:
                self._log.info("The log of job %s is not read for now: %s", self.job_id, exc)
                self.error = exc
                self._wake()
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_DELAY)
            except NdsError as exc:
                self.ended = True
                # The deletion of a job is a message of its own.
                self.error = None if isinstance(exc, JobNotFound) else exc
            except Exception:  # noqa: BLE001 - subscribers must learn of the end, whatever is wrong
                self._log.exception("The log of job %s met a defect of the server.", self.job_id)
                self.ended = True
                self.error = NdsError("The server failed on this log; its own log says how.")
        self._wake()

    async def _read_to_end(self) -> None:
        since = self._since
        moment = None if since is None else message_time(since)
        tail = self._tail if since is None else None
        request = LogRequest(tail=tail, since=moment, follow=True)
        async with contextlib.aclosing(self._read_log(self.job_id, request)) as batches:
            async for lines in batches:
                self.error = None
                # An engine counts microseconds, so the first lines may be known.
                await self._buffer_lines(
                    [line for line in lines if since is None or line.time > since]
                )

    async def _buffer_lines(self, lines: list[LogLine]) -> None:
        if lines and self._earliest_time is None:
            self._earliest_time = lines[0].time
        for number, some in enumerate(encode_batches(lines), 1):
            for line in some:
                self.buffer.add(line)
            self._wake()
            if number % READ_AHEAD == 0:
                await self._wait_for_reader()
        await self._wait_for_reader()
        complete = next((line.time for line in reversed(lines) if not line.cut), None)
        self._since = complete or self._since

    async def _wait_for_reader(self) -> None:
        """Wait for the fastest subscriber, but not for ever for one that stalls."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READER_WAIT):
                while not any(each.position == self.buffer.end for each in self.subscribers):
                    self._lines_read.clear()
                    await self._lines_read.wait()


class LineBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The next lines for one subscriber: fields of a `LogLines` message."""

    lines: tuple[msgspec.Raw, ...]
    skipped: int | None
    refetch_since: str | None
    end: bool


class LogSubscriber:
    """One subscriber's position in a shared log stream.

    Parameters
    ----------
    log
        The stream; it is subscribed at once.
    follow
        Says from where on.
    wake
        Called when there may be a new batch or error.
    """

    def __init__(self, log: SharedLogStream, follow: Follow, wake: Callable[[], None]) -> None:
        self.log = log
        self.wake = wake
        buffer = log.buffer
        self.position = max(buffer.start, buffer.end - follow.log_tail)
        self._since = None if follow.log_since is None else normalize_time(follow.log_since)
        self._last: str | None = None
        self._reported_error: NdsError | None = None
        self._ended = False
        log.subscribers.add(self)

    def unsubscribe(self) -> None:
        """Leave the stream."""
        self.log.subscribers.discard(self)
        self.log.note_read()

    def rejoin(self) -> None:
        """Go on after the last line that was sent: the log is read anew."""
        self.position = 0
        self._since = self._last or self._since

    def new_error(self) -> NdsError | None:
        """Return why the log can't be read, each error once."""
        if self._reported_error is self.log.error:
            return None
        self._reported_error = self.log.error
        return self._reported_error

    def next_batch(self) -> LineBatch | None:
        """Return the next lines, or None if there are none."""
        if self._ended:
            return None
        missing = self._skip_known_lines() if self._since is not None else None
        found = self.log.buffer.read(self.position)
        skipped: int | None = found.skipped if self._last is not None else 0
        refetch = self._last if skipped else None
        if missing is not None:
            skipped, refetch = None, missing
        self.position = found.position
        self.log.note_read()
        self._last = next((line.time for line in reversed(found.lines) if not line.cut), self._last)
        self._ended = self.log.ended and self.position == self.log.buffer.end
        if not found.lines and not self._ended:
            return None
        lines = tuple(msgspec.Raw(line.body) for line in found.lines)
        return LineBatch(lines=lines, skipped=skipped, refetch_since=refetch, end=self._ended)

    def _skip_known_lines(self) -> str | None:
        """Skip what the subscriber has; return its time if lines after it are missing."""
        since = self._since
        buffer = self.log.buffer
        if since is None:
            return None
        self.position = buffer.position_after(since)
        if self.position == buffer.end:
            # All of these are known; more known ones may be on their way.
            return None
        self._since, self._last = None, since
        return None if self.log.holds_all_after(since) else since
