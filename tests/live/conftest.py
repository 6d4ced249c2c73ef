"""Open pages over a log that the test writes, with no server and no engine."""

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

Open = Callable[..., Awaitable[Reader]]


@pytest.fixture
def written() -> WrittenLog:
    return WrittenLog()


@pytest.fixture
def pages(written: WrittenLog, jp_asyncio_loop: object) -> Iterator[Broadcaster]:
    async def find_job(owner: str, job_id: str) -> Job:
        if owner != "ada" or not JOB.startswith(job_id):
            raise JobNotFound(f"No job of yours has the id {job_id}.")
        return a_job()

    async def load_of(owner: str) -> LoadView:
        return LOAD

    made = Broadcaster(find_job, written.read, load_of, logging.getLogger("pages"))
    yield made
    for page in list(made._open):
        jp_asyncio_loop.run_until_complete(made.leave(page))  # type: ignore[attr-defined]
    jp_asyncio_loop.run_until_complete(made.close())  # type: ignore[attr-defined]
    assert written.open == 0


@pytest.fixture
def open_page(pages: Broadcaster) -> Open:
    """Open a page; `follow` says how it follows the one job, if it does."""

    async def open_page(owner: str = "ada", since: str | None = None, **follow: object) -> Reader:
        reader = Reader(pages.open(owner, since))
        await reader.next()
        if follow:
            wish = Follow(job_id=JOB, **follow)  # type: ignore[arg-type]
            await pages.follow(reader.page, FollowRequest(follow=(wish,)))
        return reader

    return open_page
