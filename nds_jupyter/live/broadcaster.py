"""Broadcaster of job, log, metric and load messages to the subscribers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from nds_jupyter.engines.base import Sample
from nds_jupyter.errors import NdsError, TooBusy
from nds_jupyter.jobs.job import Job
from nds_jupyter.live.event_buffer import EventBuffer
from nds_jupyter.live.shared_log_stream import LogSubscriber, ReadLog, SharedLogStream
from nds_jupyter.live.subscriber import Subscriber
from nds_jupyter.live.websocket_messages import Follow, FollowRequest, decode_follow_request
from nds_jupyter.rest.views import LoadView

LOAD_INTERVAL = 1.0
"""Seconds between two measurements of the load while there are subscribers."""

IDLE_BUFFERS = 64
"""Owners without a subscriber whose event buffers are kept for their return."""

MAX_SUBSCRIBERS = 500
"""Subscribers at a time; more are refused."""

RETRY_AFTER = 30
"""Seconds after which another subscriber may be accepted."""

CLOSE_DEADLINE = 2.0
"""Seconds for subscribers to close when the server stops."""


class Broadcaster:
    """Broadcaster of jobs, logs, metrics and load to the subscribers that may see them.

    Parameters
    ----------
    find_job
        Returns an owner's job by its id or prefix, or raises `JobNotFound`.
    read_log
        Reads the log of a job.
    measure_load
        Returns the load as an owner sees it.
    """

    def __init__(
        self,
        find_job: Callable[[str, str], Awaitable[Job]],
        read_log: ReadLog,
        measure_load: Callable[[str], Awaitable[LoadView]],
        log: logging.Logger,
    ) -> None:
        self._find_job = find_job
        self._read_log = read_log
        self._measure_load = measure_load
        self._log = log
        self._event_buffers: dict[str, EventBuffer] = {}
        self._subscribers: set[Subscriber] = set()
        self._log_streams: dict[str, SharedLogStream] = {}
        self._no_subscribers = asyncio.Event()
        self._load_task: asyncio.Task[None] | None = None

    def job_changed(self, job: Job) -> None:
        """Send a changed job to its owner's subscribers."""
        event_buffer = self._event_buffers.get(job.owner)
        if event_buffer is not None:
            event_buffer.add_job(job)

    def job_deleted(self, job: Job) -> None:
        """Send to the owner's subscribers that a job was deleted."""
        event_buffer = self._event_buffers.get(job.owner)
        if event_buffer is not None:
            event_buffer.add_deletion(job.job_id)

    def job_sampled(self, job_id: str, sample: Sample) -> None:
        """Send a sample of a job to the subscribers that follow it."""
        for subscriber in self._subscribers:
            subscriber.add_sample(job_id, sample)

    def refuse_if_full(self) -> None:
        """Raise `TooBusy` if there are too many subscribers."""
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise TooBusy(
                f"All {MAX_SUBSCRIBERS} places for pages are taken. Close some, or try again "
                "later.",
                retry_after=RETRY_AFTER,
            )

    def subscribe(self, owner: str, since: str | None) -> Subscriber:
        """Return a new subscriber; the caller unsubscribes it."""
        # The newest last, so that the longest idle is dropped first.
        event_buffer = (
            self._event_buffers.pop(owner) if owner in self._event_buffers else EventBuffer()
        )
        self._event_buffers[owner] = event_buffer
        subscriber = Subscriber(owner, event_buffer, since)
        self._subscribers.add(subscriber)
        self._no_subscribers.clear()
        if self._load_task is None or self._load_task.done():
            self._load_task = asyncio.create_task(self._watch_load())
        return subscriber

    async def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, and close the log streams that nobody else follows."""
        subscriber.close()
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            self._no_subscribers.set()
        for job_id in list(subscriber.follows):
            await self._unfollow(subscriber, job_id)
        busy = {each.owner for each in self._subscribers}
        idle = [owner for owner in self._event_buffers if owner not in busy]
        for owner in idle[: max(0, len(idle) - IDLE_BUFFERS)]:
            del self._event_buffers[owner]

    async def handle_message(self, subscriber: Subscriber, message: str | bytes) -> None:
        """Carry out what a subscriber asks for, or send it the error."""
        try:
            await self.follow(subscriber, decode_follow_request(message))
        except NdsError as exc:
            subscriber.add_error(None, exc)

    async def follow(self, subscriber: Subscriber, request: FollowRequest) -> None:
        """Have a subscriber follow these jobs and no others; it gets an error for each it can't."""
        found: dict[str, Follow] = {}
        for follow in request.follow:
            try:
                job = await self._find_job(subscriber.owner, follow.job_id)
            except NdsError as exc:
                subscriber.add_error(follow.job_id, exc)
            else:
                found[job.job_id] = follow
        for job_id, follow in list(subscriber.follows.items()):
            if found.get(job_id) != follow:
                await self._unfollow(subscriber, job_id)
        for job_id, follow in found.items():
            if job_id not in subscriber.follows and subscriber in self._subscribers:
                self._follow(subscriber, job_id, follow)

    def _follow(self, subscriber: Subscriber, job_id: str, follow: Follow) -> None:
        subscriber.follows[job_id] = follow
        if not follow.log:
            return
        log = self._log_streams.get(job_id)
        if log is None:
            log = self._log_streams[job_id] = SharedLogStream(
                job_id, follow, self._read_log, self._log
            )
        elif follow.log_since is None:
            log.extend_back(follow.log_tail)
        else:
            log.extend_back_to(follow.log_since)
        subscriber.log_subscribers[job_id] = LogSubscriber(log, follow, subscriber.wake)
        subscriber.wake()

    async def _unfollow(self, subscriber: Subscriber, job_id: str) -> None:
        subscriber.follows.pop(job_id, None)
        log_subscriber = subscriber.log_subscribers.pop(job_id, None)
        if log_subscriber is None:
            return
        log_subscriber.unsubscribe()
        if (
            not log_subscriber.log.subscribers
            and self._log_streams.get(job_id) is log_subscriber.log
        ):
            del self._log_streams[job_id]
            await log_subscriber.log.close()

    async def _watch_load(self) -> None:
        while self._subscribers:
            try:
                for owner in {subscriber.owner for subscriber in self._subscribers}:
                    load = await self._measure_load(owner)
                    for subscriber in self._subscribers:
                        if subscriber.owner == owner:
                            subscriber.set_load(load)
            except NdsError as exc:
                self._log.debug("The load is not known: %s", exc)
            await asyncio.sleep(LOAD_INTERVAL)

    async def close(self) -> None:
        """Close every subscriber and log stream."""
        for subscriber in self._subscribers:
            subscriber.close()
        if self._subscribers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_DEADLINE):
                    await self._no_subscribers.wait()
        for subscriber in list(self._subscribers):
            await self.unsubscribe(subscriber)
        if self._load_task is not None:
            self._load_task.cancel()
            await asyncio.wait([self._load_task])
