"""Bounded buffer of one owner's job events, so that a page that reconnects misses none."""

from __future__ import annotations

import re
import secrets
from bisect import bisect_right
from collections.abc import Callable

import msgspec

from nds_jupyter.jobs.job import Job
from nds_jupyter.rest.views import job_view

BUFFER_SIZE = 512
"""Events of one owner."""

_SINCE = re.compile(r"([0-9a-f]{8})\.(\d{1,18})")


class BufferedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event: the job as JSON, or None for a deleted one; `n` is its number."""

    n: int
    job_id: str
    body: msgspec.Raw | None
    progress: bool = False


class EventBuffer:
    """Bounded buffer of numbered events, under an epoch of its own.

    A reader's position is the number of the last event that it has read.

    Parameters
    ----------
    capacity
        Events held; of the progress of one job only the newest counts.
    """

    def __init__(self, capacity: int = BUFFER_SIZE) -> None:
        self.epoch = secrets.token_hex(4)
        self.listeners: set[Callable[[], None]] = set()
        self._capacity = capacity
        self._events: list[BufferedEvent] = []
        self._last_number = 0
        self._last_dropped = 0
        self._progress: dict[str, BufferedEvent] = {}

    @property
    def position(self) -> int:
        """The position of a reader that has read everything."""
        return self._last_number

    def format_seq(self, position: int) -> str:
        """Return a position as the `seq` of a message: ``<epoch>.<number>``."""
        return f"{self.epoch}.{position}"

    def resume_position(self, since: str | None) -> int | None:
        """Return the position of a `seq`, or None if a reader can't go on from there."""
        match = _SINCE.fullmatch(since or "")
        if match is None or match[1] != self.epoch:
            return None
        position = int(match[2])
        return position if self._last_dropped <= position <= self._last_number else None

    def holds_all_after(self, position: int) -> bool:
        """Return whether every event after a position is still held."""
        return position >= self._last_dropped

    def next_after(self, position: int) -> BufferedEvent | None:
        """Return the first event after a position."""
        index = bisect_right(self._events, position, key=lambda event: event.n)
        return self._events[index] if index < len(self._events) else None

    def add_job(self, job: Job) -> None:
        """Add a changed job."""
        body = msgspec.Raw(msgspec.json.encode(job_view(job)))
        self._add(job.job_id, body, progress=job.progress is not None)

    def add_deletion(self, job_id: str) -> None:
        """Add the deletion of a job."""
        self._add(job_id, None, progress=False)

    def _add(self, job_id: str, body: msgspec.Raw | None, *, progress: bool) -> None:
        # Progress is of no interest once the job has come further.
        superseded = self._progress.pop(job_id, None)
        if superseded is not None:
            self._events.remove(superseded)
        self._last_number += 1
        event = BufferedEvent(n=self._last_number, job_id=job_id, body=body, progress=progress)
        self._events.append(event)
        if progress:
            self._progress[job_id] = event
        while len(self._events) > self._capacity:
            self._drop_oldest()
        for wake in self.listeners:
            wake()

    def _drop_oldest(self) -> None:
        event = self._events.pop(0)
        self._last_dropped = event.n
        if self._progress.get(event.job_id) is event:
            del self._progress[event.job_id]
