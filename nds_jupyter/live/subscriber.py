"""Subscriber: one open page, its positions in the buffers, and its next message."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator

import msgspec

from nds_jupyter.engines.base import Sample
from nds_jupyter.errors import NdsError
from nds_jupyter.live.event_buffer import EventBuffer
from nds_jupyter.live.log_stream import LogSubscriber
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
"""Seconds between news and telling them, so that many come in one message."""

MOST_PENDING_ERRORS = 100
"""Errors that wait to be told; a page that makes more of them loses the oldest."""

_ENCODE = msgspec.json.Encoder().encode


class Subscriber:
    """What one page has been told.

    It holds positions, never messages: what a slow page has not read lies in the feed and the
    logs, which all pages share, or is passed over.

    Parameters
    ----------
    owner
        Whose jobs it sees.
    feed
        The owner's job messages.
    since
        The `seq` of the last message that the page got over an earlier connection.
    """

    def __init__(self, owner: str, feed: EventBuffer, since: str | None) -> None:
        self.owner = owner
        self.follows: dict[str, Follow] = {}
        self.followers: dict[str, LogSubscriber] = {}
        self._feed = feed
        resumed = feed.resume(since)
        self._position = feed.position if resumed is None else resumed
        self._first: type[Message] = Reset if resumed is None else Hello
        self._samples: dict[str, Sample] = {}
        self._troubles: deque[tuple[str | None, NdsError]] = deque(maxlen=MOST_PENDING_ERRORS)
        self._load: LoadView | None = None
        self._load_is_news = False
        self._news = asyncio.Event()
        self._closed = False
        feed.readers.add(self.wake)

    def wake(self) -> None:
        """Look whether there is something to tell."""
        self._news.set()

    def close(self) -> None:
        """Tell nothing more."""
        self._closed = True
        self._feed.readers.discard(self.wake)
        self.wake()

    def sampled(self, job_id: str, sample: Sample) -> None:
        """Tell a sample of a job if the page wants it; a newer one takes its place."""
        follow = self.follows.get(job_id)
        if follow is not None and follow.metrics:
            self._samples[job_id] = sample
            self.wake()

    def loaded(self, load: LoadView) -> None:
        """Tell the load if it has changed."""
        if load != self._load:
            self._load = load
            self._load_is_news = True
            self.wake()

    def failed(self, job_id: str | None, error: NdsError) -> None:
        """Tell that something can't be had."""
        self._troubles.append((job_id, error))
        self.wake()

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Give the messages, each when the one before has been sent, until the page is closed."""
        yield _ENCODE(self._first(seq=self._seq))
        while not self._closed:
            told = False
            for message in self._round():
                told = True
                yield _ENCODE(message)
            if not told:
                await self._news.wait()
                await asyncio.sleep(GATHER_DELAY)

    @property
    def _seq(self) -> str:
        return self._feed.seq(self._position)

    def _round(self) -> Iterator[Message]:
        """Tell of everything once, so that a long log holds nothing else up."""
        self._news.clear()
        yield from self._job_messages()
        while self._troubles:
            job_id, error = self._troubles.popleft()
            yield self._trouble(job_id, error)
        for job_id, follower in list(self.followers.items()):
            yield from self._log_messages(job_id, follower)
        while self._samples:
            job_id, sample = self._samples.popitem()
            view = msgspec.convert(sample, SampleView, from_attributes=True)
            yield NewSample(seq=self._seq, job_id=job_id, sample=view)
        if self._load is not None and self._load_is_news:
            self._load_is_news = False
            yield LoadChanged(seq=self._seq, **msgspec.structs.asdict(self._load))

    def _job_messages(self) -> Iterator[Message]:
        if not self._feed.can_read(self._position):
            self._position = self._feed.position
            yield Reset(seq=self._seq)
        while (entry := self._feed.after(self._position)) is not None:
            self._position = entry.n
            if entry.body is None:
                yield JobDeleted(seq=self._seq, job_id=entry.job_id)
            else:
                yield JobChanged(seq=self._seq, job_id=entry.job_id, job=entry.body)

    def _log_messages(self, job_id: str, follower: LogSubscriber) -> Iterator[Message]:
        error = follower.trouble()
        if error is not None:
            yield self._trouble(job_id, error)
        batch = follower.next()
        if batch is not None:
            yield LogLines(
                seq=self._seq,
                job_id=job_id,
                lines=batch.lines,
                skipped=batch.skipped,
                refetch_since=batch.refetch_since,
                end=batch.end,
            )

    def _trouble(self, job_id: str | None, error: NdsError) -> ErrorMessage:
        return ErrorMessage(
            seq=self._seq,
            job_id=job_id,
            message=error.message,
            code=error.code,
            reason=error.reason,
        )
