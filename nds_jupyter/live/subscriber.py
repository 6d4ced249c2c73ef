"""Subscriber: one open page's positions in the buffers, and the messages that it gets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator

import msgspec

from nds_jupyter.engines.base import Sample
from nds_jupyter.errors import NdsError
from nds_jupyter.live.event_buffer import EventBuffer
from nds_jupyter.live.shared_log_stream import LogSubscriber
from nds_jupyter.live.websocket_messages import (
    ErrorMessage,
    Follow,
    Hello,
    JobChanged,
    JobDeleted,
    LoadChanged,
    LogLines,
    Message,
    NewSample,
    Reset,
)
from nds_jupyter.rest.views import LoadView, SampleView

GATHER_DELAY = 0.02
"""Seconds between a wake-up and the next message, so that many lines come in one."""

MAX_PENDING_ERRORS = 100
"""Errors that wait to be sent; a subscriber that makes more of them loses the oldest."""

_ENCODE = msgspec.json.Encoder().encode


class Subscriber:
    """One open page: what it follows, and how far it has read.

    It holds positions, never messages: what a slow page has not read lies in the buffers, which
    all subscribers share, or is skipped.

    Parameters
    ----------
    owner
        The user whose jobs it sees.
    event_buffer
        The owner's job events.
    since
        The `seq` of the last message that the page got over an earlier connection.
    """

    def __init__(self, owner: str, event_buffer: EventBuffer, since: str | None) -> None:
        self.owner = owner
        self.follows: dict[str, Follow] = {}
        self.log_subscribers: dict[str, LogSubscriber] = {}
        self._event_buffer = event_buffer
        resumed = event_buffer.resume_position(since)
        self._position = event_buffer.position if resumed is None else resumed
        self._first_message: type[Message] = Reset if resumed is None else Hello
        self._samples: dict[str, Sample] = {}
        self._errors: deque[tuple[str | None, NdsError]] = deque(maxlen=MAX_PENDING_ERRORS)
        self._load: LoadView | None = None
        self._load_changed = False
        self._wakeup = asyncio.Event()
        self._closed = False
        event_buffer.listeners.add(self.wake)

    def wake(self) -> None:
        """Have `messages` check whether there is something to send."""
        self._wakeup.set()

    def close(self) -> None:
        """End `messages`."""
        self._closed = True
        self._event_buffer.listeners.discard(self.wake)
        self.wake()

    def add_sample(self, job_id: str, sample: Sample) -> None:
        """Queue a sample of a job if its metrics are followed; a newer one replaces it."""
        follow = self.follows.get(job_id)
        if follow is not None and follow.metrics:
            self._samples[job_id] = sample
            self.wake()

    def set_load(self, load: LoadView) -> None:
        """Queue the load if it has changed."""
        if load != self._load:
            self._load = load
            self._load_changed = True
            self.wake()

    def add_error(self, job_id: str | None, error: NdsError) -> None:
        """Queue an error, of a job or of a request."""
        self._errors.append((job_id, error))
        self.wake()

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Yield the messages, each when the one before has been sent, until this is closed."""
        yield _ENCODE(self._first_message(seq=self._seq))
        while not self._closed:
            sent = False
            for message in self._pending_messages():
                sent = True
                yield _ENCODE(message)
            if not sent:
                await self._wakeup.wait()
                await asyncio.sleep(GATHER_DELAY)

    @property
    def _seq(self) -> str:
        return self._event_buffer.format_seq(self._position)

    def _pending_messages(self) -> Iterator[Message]:
        """Yield at most one batch of each kind, so that a long log holds nothing else up."""
        self._wakeup.clear()
        yield from self._job_messages()
        while self._errors:
            job_id, error = self._errors.popleft()
            yield self._error_message(job_id, error)
        for job_id, log_subscriber in list(self.log_subscribers.items()):
            yield from self._log_messages(job_id, log_subscriber)
        while self._samples:
            job_id, sample = self._samples.popitem()
            view = msgspec.convert(sample, SampleView, from_attributes=True)
            yield NewSample(seq=self._seq, job_id=job_id, sample=view)
        if self._load is not None and self._load_changed:
            self._load_changed = False
            yield LoadChanged(seq=self._seq, **msgspec.structs.asdict(self._load))

    def _job_messages(self) -> Iterator[Message]:
        if not self._event_buffer.holds_all_after(self._position):
            self._position = self._event_buffer.position
            yield Reset(seq=self._seq)
        while (entry := self._event_buffer.next_after(self._position)) is not None:
            self._position = entry.n
            if entry.body is None:
                yield JobDeleted(seq=self._seq, job_id=entry.job_id)
            else:
                yield JobChanged(seq=self._seq, job_id=entry.job_id, job=entry.body)

    def _log_messages(self, job_id: str, log_subscriber: LogSubscriber) -> Iterator[Message]:
        error = log_subscriber.new_error()
        if error is not None:
            yield self._error_message(job_id, error)
        batch = log_subscriber.next_batch()
        if batch is not None:
            yield LogLines(
                seq=self._seq,
                job_id=job_id,
                lines=batch.lines,
                skipped=batch.skipped,
                refetch_since=batch.refetch_since,
                end=batch.end,
            )

    def _error_message(self, job_id: str | None, error: NdsError) -> ErrorMessage:
        return ErrorMessage(
            seq=self._seq,
            job_id=job_id,
            message=error.message,
            code=error.code,
            reason=error.reason,
        )
