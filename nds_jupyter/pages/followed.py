"""One log that pages follow: read from the engine once, however many there are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from datetime import datetime

import msgspec

from nds_jupyter.engines.base import LogRequest
from nds_jupyter.errors import (
    DeadlineExceeded,
    EngineUnavailable,
    JobNotFound,
    NdsError,
    TooBusy,
)
from nds_jupyter.pages.lines import HeldLines, slices
from nds_jupyter.pages.messages import Follow, nine_digits
from nds_jupyter.views import LogLine

ReadLog = Callable[[str, LogRequest], AsyncGenerator[list[LogLine], None]]
"""Reads the log of a job, by its id, until the job ends."""

HOLD = 1.0
"""Seconds that a log waits for its fastest page; after that, pages skip."""

AHEAD = 4
"""Messages' worth of lines read ahead of the fastest page."""

RETRY_FIRST, RETRY_MOST = 0.5, 10.0
"""Seconds between attempts to read a log that can't be had now."""

_PASSING = (EngineUnavailable, DeadlineExceeded, TooBusy)


class FollowedLog:
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
        self.held = HeldLines()
        self.followers: set[Follower] = set()
        self._read = read
        self._log = log
        self._since = None if first.log_since is None else nine_digits(first.log_since)
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
        since = nine_digits(time)
        if self._tail is None and self._floor is not None and self._floor > since:
            self._read_anew(since, None)

    def _read_anew(self, since: str | None, tail: int | None) -> None:
        before = self._task
        before.cancel()
        self.held = HeldLines()
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
            except _PASSING as exc:
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
        moment = None if since is None else datetime.fromisoformat(since[:26] + "Z")
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
        for number, some in enumerate(slices(lines), 1):
            for line in some:
                self.held.add(line)
            self._wake()
            if number % AHEAD == 0:
                await self._until_taken()
        await self._until_taken()
        complete = next((line.time for line in reversed(lines) if not line.cut), None)
        self._since = complete or self._since

    async def _until_taken(self) -> None:
        """Read no faster than the fastest page, but do not wait for ever for one that stalls."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD):
                while not any(each.position == self.held.next for each in self.followers):
                    self._taken.clear()
                    await self._taken.wait()


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a follower is told next: fields of a `LogLines` message."""

    lines: tuple[msgspec.Raw, ...]
    skipped: int | None
    refetch_since: str | None
    end: bool


class Follower:
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

    def __init__(self, log: FollowedLog, wish: Follow, wake: Callable[[], None]) -> None:
        self.log = log
        self.wake = wake
        held = log.held
        self.position = max(held.first, held.next - wish.log_tail)
        self._since = None if wish.log_since is None else nine_digits(wish.log_since)
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

    def next(self) -> Batch | None:
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
        return Batch(lines=lines, skipped=skipped, refetch_since=refetch, end=self._ended)

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
