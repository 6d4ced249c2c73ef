"""Bounded buffer of one owner's job messages, so that a page that reconnects misses none."""

from __future__ import annotations

import re
import secrets
from bisect import bisect_right
from collections.abc import Callable

import msgspec

from nds_jupyter.jobs.job import Job
from nds_jupyter.rest.views import job_view

BUFFER_SIZE = 512
"""Messages of one owner."""

_SINCE = re.compile(r"([0-9a-f]{8})\.(\d{1,18})")


class BufferedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One message: the job as JSON, or None for a deleted one."""

    n: int
    job_id: str
    body: msgspec.Raw | None
    progress: bool = False


class EventBuffer:
    """Numbered messages under an epoch of their own; a position is the number of the last one read.

    Parameters
    ----------
    kept
        Messages held; of the progress of one job only the newest counts.
    """

    def __init__(self, kept: int = BUFFER_SIZE) -> None:
        self.epoch = secrets.token_hex(4)
        self.readers: set[Callable[[], None]] = set()
        self._kept = kept
        self._entries: list[BufferedEvent] = []
        self._newest = 0
        self._forgotten = 0
        self._progress: dict[str, BufferedEvent] = {}

    @property
    def position(self) -> int:
        """The position of who has read everything."""
        return self._newest

    def seq(self, position: int) -> str:
        """Return a position as pages are told it."""
        return f"{self.epoch}.{position}"

    def resume(self, since: str | None) -> int | None:
        """Return the position that a page names, or None if it can't go on from there."""
        match = _SINCE.fullmatch(since or "")
        if match is None or match[1] != self.epoch:
            return None
        position = int(match[2])
        return position if self._forgotten <= position <= self._newest else None

    def can_read(self, position: int) -> bool:
        """Whether everything after a position is still held."""
        return position >= self._forgotten

    def after(self, position: int) -> BufferedEvent | None:
        """Return the first message after a position."""
        index = bisect_right(self._entries, position, key=lambda entry: entry.n)
        return self._entries[index] if index < len(self._entries) else None

    def tell(self, job: Job) -> None:
        """Add what a job has become."""
        body = msgspec.Raw(msgspec.json.encode(job_view(job)))
        self._add(job.job_id, body, progress=job.progress is not None)

    def tell_deleted(self, job_id: str) -> None:
        """Add that a job is no more."""
        self._add(job_id, None, progress=False)

    def _add(self, job_id: str, body: msgspec.Raw | None, *, progress: bool) -> None:
        # What a job was in the midst of is of no interest once it has come further.
        overtaken = self._progress.pop(job_id, None)
        if overtaken is not None:
            self._entries.remove(overtaken)
        self._newest += 1
        entry = BufferedEvent(n=self._newest, job_id=job_id, body=body, progress=progress)
        self._entries.append(entry)
        if progress:
            self._progress[job_id] = entry
        while len(self._entries) > self._kept:
            self._forget_oldest()
        for wake in self.readers:
            wake()

    def _forget_oldest(self) -> None:
        entry = self._entries.pop(0)
        self._forgotten = entry.n
        if self._progress.get(entry.job_id) is entry:
            del self._progress[entry.job_id]
