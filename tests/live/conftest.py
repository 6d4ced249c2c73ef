"""Subscribers to a log that the test writes, with no server and no engine."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator

import pytest

from nds_jupyter.errors import JobNotFound
from nds_jupyter.jobs.job import Job
from nds_jupyter.live import Broadcaster
from nds_jupyter.live.websocket_messages import Follow, FollowRequest
from nds_jupyter.rest.views import LoadView
from tests.live.written import Reader, WrittenLog, a_job

JOB = a_job().job_id
LOAD = LoadView(running=0, queued=0, places=1, cpus=1, memory=1, cpu_percent=0.0, memory_usage=0)

Subscribe = Callable[..., Awaitable[Reader]]


@pytest.fixture
def written() -> WrittenLog:
    return WrittenLog()


@pytest.fixture
def broadcaster(written: WrittenLog, jp_asyncio_loop: object) -> Iterator[Broadcaster]:
    async def find_job(owner: str, job_id: str) -> Job:
        if owner != "ada" or not JOB.startswith(job_id):
            raise JobNotFound(f"No job of yours has the id {job_id}.")
        return a_job()

    async def load_of(owner: str) -> LoadView:
        return LOAD

    made = Broadcaster(find_job, written.read, load_of, logging.getLogger("live"))
    yield made
    for subscriber in list(made._subscribers):
        jp_asyncio_loop.run_until_complete(made.unsubscribe(subscriber))  # type: ignore[attr-defined]
    jp_asyncio_loop.run_until_complete(made.close())  # type: ignore[attr-defined]
    assert written.open == 0


@pytest.fixture
def subscribe(broadcaster: Broadcaster) -> Subscribe:
    """Open a page and return its reader; `follow` says how it follows the one job, if it does."""

    async def subscribe(owner: str = "ada", since: str | None = None, **follow: object) -> Reader:
        reader = Reader(broadcaster.subscribe(owner, since))
        await reader.next()
        if follow:
            wanted = Follow(job_id=JOB, **follow)  # type: ignore[arg-type]
            await broadcaster.follow(reader.subscriber, FollowRequest(follow=(wanted,)))
        return reader

    return subscribe
