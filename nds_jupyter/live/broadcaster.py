"""Broadcaster of job, log, metric and load messages to the open pages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from nds_jupyter.engines.base import Sample
from nds_jupyter.errors import NdsError, TooBusy
from nds_jupyter.jobs.job import Job
from nds_jupyter.live.event_buffer import EventBuffer
from nds_jupyter.live.log_stream import LogSubscriber, ReadLog, SharedLogStream
from nds_jupyter.live.subscriber import Subscriber
from nds_jupyter.live.websocket_messages import Follow, FollowRequest, decode_follow_request
from nds_jupyter.rest.views import LoadView

LOAD_INTERVAL = 1.0
"""Seconds between two looks at the load while a page is open."""

IDLE_BUFFERS = 64
"""Owners without an open page whose job messages are kept for their return."""

MOST_SUBSCRIBERS = 500
"""Pages open at a time; more are sent away."""

RETRY_AFTER = 30
"""Seconds after which a place for a page may be free."""

CLOSE_DEADLINE = 2.0
"""Seconds in which pages are told that the server stops."""


class Broadcaster:
    """Tells every open page what it wants to know.

    Parameters
    ----------
    find_job
        Returns an owner's job by its id or prefix, or raises `JobNotFound`.
    read_log
        Reads the log of a job.
    load_of
        Returns the load as an owner sees it.
    """

    def __init__(
        self,
        find_job: Callable[[str, str], Awaitable[Job]],
        read_log: ReadLog,
        load_of: Callable[[str], Awaitable[LoadView]],
        log: logging.Logger,
    ) -> None:
        self._find_job = find_job
        self._read_log = read_log
        self._load_of = load_of
        self._log = log
        self._feeds: dict[str, EventBuffer] = {}
        self._open: set[Subscriber] = set()
        self._logs: dict[str, SharedLogStream] = {}
        self._empty = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    def job_changed(self, job: Job) -> None:
        """Tell the owner's pages what a job has become."""
        feed = self._feeds.get(job.owner)
        if feed is not None:
            feed.tell(job)

    def job_deleted(self, job: Job) -> None:
        """Tell the owner's pages that a job is no more."""
        feed = self._feeds.get(job.owner)
        if feed is not None:
            feed.tell_deleted(job.job_id)

    def job_sampled(self, job_id: str, sample: Sample) -> None:
        """Tell the pages that follow a job what it uses."""
        for page in self._open:
            page.sampled(job_id, sample)

    def refuse_if_full(self) -> None:
        """Raise `TooBusy` if too many pages are open."""
        if len(self._open) >= MOST_SUBSCRIBERS:
            raise TooBusy(
                f"All {MOST_SUBSCRIBERS} places for pages are taken. Close some, or try again "
                "later.",
                retry_after=RETRY_AFTER,
            )

    def open(self, owner: str, since: str | None) -> Subscriber:
        """Begin to tell a page; who opens it leaves it, too."""
        # The newest last, so that the longest idle is forgotten first.
        feed = self._feeds.pop(owner) if owner in self._feeds else EventBuffer()
        self._feeds[owner] = feed
        page = Subscriber(owner, feed, since)
        self._open.add(page)
        self._empty.clear()
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._watch_load())
        return page

    async def leave(self, page: Subscriber) -> None:
        """Stop telling a page, and reading what nobody else follows."""
        page.close()
        self._open.discard(page)
        if not self._open:
            self._empty.set()
        for job_id in list(page.follows):
            await self._unfollow(page, job_id)
        busy = {each.owner for each in self._open}
        idle = [owner for owner in self._feeds if owner not in busy]
        for owner in idle[: max(0, len(idle) - IDLE_BUFFERS)]:
            del self._feeds[owner]

    async def hear(self, page: Subscriber, message: str | bytes) -> None:
        """Do what a page asks for, or tell it why not."""
        try:
            await self.follow(page, decode_follow_request(message))
        except NdsError as exc:
            page.failed(None, exc)

    async def follow(self, page: Subscriber, wanted: FollowRequest) -> None:
        """Let a page follow these jobs and no others; it is told which it can't."""
        found: dict[str, Follow] = {}
        for follow in wanted.follow:
            try:
                job = await self._find_job(page.owner, follow.job_id)
            except NdsError as exc:
                page.failed(follow.job_id, exc)
            else:
                found[job.job_id] = follow
        for job_id, follow in list(page.follows.items()):
            if found.get(job_id) != follow:
                await self._unfollow(page, job_id)
        for job_id, follow in found.items():
            if job_id not in page.follows and page in self._open:
                self._follow(page, job_id, follow)

    def _follow(self, page: Subscriber, job_id: str, follow: Follow) -> None:
        page.follows[job_id] = follow
        if not follow.log:
            return
        log = self._logs.get(job_id)
        if log is None:
            log = self._logs[job_id] = SharedLogStream(job_id, follow, self._read_log, self._log)
        elif follow.log_since is None:
            log.reach_back(follow.log_tail)
        else:
            log.reach_back_to(follow.log_since)
        page.followers[job_id] = LogSubscriber(log, follow, page.wake)
        page.wake()

    async def _unfollow(self, page: Subscriber, job_id: str) -> None:
        page.follows.pop(job_id, None)
        follower = page.followers.pop(job_id, None)
        if follower is None:
            return
        follower.leave()
        if not follower.log.followers and self._logs.get(job_id) is follower.log:
            del self._logs[job_id]
            await follower.log.close()

    async def _watch_load(self) -> None:
        while self._open:
            try:
                for owner in {page.owner for page in self._open}:
                    load = await self._load_of(owner)
                    for page in self._open:
                        if page.owner == owner:
                            page.loaded(load)
            except NdsError as exc:
                self._log.debug("The load is not known: %s", exc)
            await asyncio.sleep(LOAD_INTERVAL)

    async def close(self) -> None:
        """Close every page and stop reading."""
        for page in self._open:
            page.close()
        if self._open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_DEADLINE):
                    await self._empty.wait()
        for page in list(self._open):
            await self.leave(page)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
