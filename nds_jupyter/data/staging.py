"""Streams inputs from the data root into a container: one tar archive, made while it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

import msgspec

from nds_jupyter.data.backend import CHUNK
from nds_jupyter.data.failures import TransferFailed, of_the_data
from nds_jupyter.data.fetching import Fetching
from nds_jupyter.data.plan import Member, Plan, expect_space, make_plan
from nds_jupyter.data.reading import changed
from nds_jupyter.data.store import DataStore
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import EngineError, EngineUnavailable
from nds_jupyter.jobs import Input, Progress

BLOCK = tarfile.BLOCKSIZE
PIECE = 2**20
"""Bytes that are gathered before they are handed to the engine; larger pieces go as they are."""

SMALL = 256 * 2**10
"""Bytes of a batch of objects at most, unless it is one object."""

BATCH = 8
"""Small objects fetched by one turn in a thread, which costs as much as reading one of them."""

AHEAD = 16
"""Batches fetched ahead, several at the same time; an object of more than `CHUNK` never is."""

HELD = 8 * 2**20
"""Bytes of batches fetched ahead after which no other is begun: they bound the memory."""

PROGRESS_EVERY = 0.2
"""Seconds between two reports of progress."""

Report = Callable[[Progress], Awaitable[object]]


class Staging:
    """Brings inputs into containers.

    Parameters
    ----------
    store
        Where they are.
    engine
        Where the containers are.
    most
        Entries of one job at most.
    """

    def __init__(self, store: DataStore, engine: Engine, most: int) -> None:
        self._store = store
        self._engine = engine
        self._most = most

    async def bring(
        self,
        inputs: tuple[Input, ...],
        container_id: str,
        report: Report,
        fetching: Fetching | None = None,
    ) -> None:
        """Plan, stream, and look again: what changed meanwhile is not what was asked for.

        Parameters
        ----------
        fetching
            Has them fetched on the container's node; None to send them through this server.

        Raises
        ------
        TransferFailed
            What went wrong; its sentence names the path.
        EngineUnavailable, DeadlineExceeded, NotReady
            If the engine does not answer now.
        """
        with of_the_data():
            plan = await make_plan(self._store, inputs, self._most)
        if fetching is not None:
            # The helper knows how much room its own disk has.
            await fetching.bring(inputs, container_id, report)
        else:
            free = (await self._engine.info()).disk_free
            with of_the_data():
                expect_space(plan, free)
            await self._send(plan, container_id, report)
        with of_the_data():
            _expect_same(plan, await make_plan(self._store, inputs, self._most))

    async def _send(self, plan: Plan, container_id: str, report: Report) -> None:
        archive = _told(tar_of(self._store, plan, report))
        try:
            async with contextlib.aclosing(archive):
                await self._engine.put_archive(container_id, "/", archive)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            first = plan.members[0].entry.path
            raise TransferFailed(f"The inputs ({first}, …) do not go in: {exc.message}") from exc


async def _told(archive: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Mark the errors of an archive's making, which the engine raises on, as the data root's."""
    with of_the_data():
        async with contextlib.aclosing(archive):
            async for piece in archive:
                yield piece


def _expect_same(before: Plan, after: Plan) -> None:
    there = {member.target: member for member in after.members}
    for member in before.members:
        now = there.pop(member.target, None)
        # The time of a collection says nothing: what it holds is compared one by one.
        if now is None or (now != member and not member.entry.is_collection):
            raise changed(member.entry)
    for member in there.values():
        raise changed(member.entry)


async def tar_of(store: DataStore, plan: Plan, report: Report) -> AsyncGenerator[bytes, None]:
    """Yield the archive of a plan in pieces of a mebibyte and more, whatever its objects' sizes."""
    done, told = 0, 0.0
    waiting = bytearray()
    async with contextlib.aclosing(contents(store, plan)) as members:
        async for member, content in members:
            waiting += _header(member)
            sent = 0
            async for data in content:
                sent += len(data)
                for piece in _gathered(waiting, data):
                    yield piece
                if time.monotonic() - told >= PROGRESS_EVERY:
                    told = time.monotonic()
                    await report(Progress(done=done + sent, total=plan.size, unit="bytes"))
            if sent != member.entry.size:
                raise changed(member.entry)
            done += sent
            waiting += bytes(-sent % BLOCK)
    yield bytes(waiting) + bytes(2 * BLOCK)
    await report(Progress(done=done, total=plan.size, unit="bytes"))


def _gathered(waiting: bytearray, data: bytes) -> Iterator[bytes]:
    """Add data to what waits; give what is large enough, and what is large without a copy."""
    if len(waiting) >= PIECE or (waiting and len(data) >= PIECE):
        yield bytes(waiting)
        waiting.clear()
    if len(data) >= PIECE:
        yield data
    else:
        waiting += data


def _header(member: Member) -> bytes:
    """Return a member's header, extended where its name needs it; readable for every user."""
    info = tarfile.TarInfo(member.target.lstrip("/"))
    info.mode = 0o644
    if member.entry.is_collection:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    info.size = member.entry.size
    if member.target == "/data" or member.target == "/results":
        info.mode = 0o1777
    info.mtime = int(member.entry.modified.timestamp()) if member.entry.modified else 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


async def contents(
    store: DataStore, plan: Plan
) -> AsyncGenerator[tuple[Member, AsyncIterator[bytes]], None]:
    """Yield every member with its content, in order; small objects are fetched ahead."""
    fetched: deque[_Fetched] = deque()
    rest = _batches(plan)
    try:
        while True:
            while len(fetched) < AHEAD and sum(each.held for each in fetched) < HELD:
                if (batch := next(rest, None)) is None:
                    break
                fetched.append(_begun(store, batch))
            if not fetched:
                return
            first = fetched[0]
            if first.task is not None:
                for member, data in zip(first.batch, await first.task, strict=True):
                    yield member, _once(data)
            else:
                async with contextlib.aclosing(store.read(first.batch[0].entry)) as pieces:
                    yield first.batch[0], pieces
            fetched.popleft()
    finally:
        tasks = [each.task for each in fetched if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Fetched(msgspec.Struct, frozen=True):
    """Members that are fetched ahead; without a task it is one that is too large for that."""

    batch: list[Member]
    held: int = 0
    task: asyncio.Task[list[bytes]] | None = None


def _begun(store: DataStore, batch: list[Member]) -> _Fetched:
    size = sum(member.entry.size for member in batch)
    if size > CHUNK:
        return _Fetched(batch)
    entries = [member.entry for member in batch]
    return _Fetched(batch, size, asyncio.create_task(store.read_small(entries)))


def _batches(plan: Plan) -> Iterator[list[Member]]:
    """Cut a plan, in its order, so that no batch but of one member is larger than `SMALL`."""
    batch: list[Member] = []
    size = 0
    for member in plan.members:
        if batch and (len(batch) == BATCH or size + member.entry.size > SMALL):
            yield batch
            batch, size = [], 0
        batch.append(member)
        size += member.entry.size
    if batch:
        yield batch


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
