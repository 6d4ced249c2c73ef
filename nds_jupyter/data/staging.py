"""Staging of inputs: planned first, then streamed into the container as one tar archive."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

import msgspec

from nds_jupyter.data.backend import CHUNK
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.node_staging import NodeStaging
from nds_jupyter.data.object_reader import DROPPED, PAUSE_FIRST, changed
from nds_jupyter.data.transfer_errors import TransferFailed, of_the_data
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import (
    Conflict,
    EngineError,
    EngineUnavailable,
    Forbidden,
    InvalidRequest,
    TooLarge,
)
from nds_jupyter.jobs.job import Input, Progress
from nds_jupyter.jobs.logical_paths import LONGEST_PATH, join, parent_of
from nds_jupyter.jobs.sizes import size_text


class StagedMember(msgspec.Struct, frozen=True, kw_only=True):
    """One collection or object, and its absolute path in the container."""

    entry: Entry
    target: str


class StagingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into one container, what holds others before what it holds.

    Parameters
    ----------
    size
        Bytes of all objects together.
    """

    members: tuple[StagedMember, ...]
    size: int


async def make_plan(store: DataRoot, inputs: tuple[Input, ...], most: int) -> StagingPlan:
    """Look at all inputs, recursively.

    Parameters
    ----------
    most
        Entries at most: a plan is held in memory.

    Raises
    ------
    NdsError
        What is wrong with them: a path that is not there, two that go to one place, too many.
    """
    failures = 0
    while True:
        try:
            return await _look(store, inputs, most)
        except DROPPED:
            failures += 1
            if failures > store.retries:
                raise
            await asyncio.sleep(PAUSE_FIRST * 2**failures)


async def _look(store: DataRoot, inputs: tuple[Input, ...], most: int) -> StagingPlan:
    found: dict[str, StagedMember] = {}
    for each in inputs:
        top = await store.entry(each.path)
        _add(found, StagedMember(entry=top, target=each.to), most)
        if top.is_collection:
            async with contextlib.aclosing(store.walk(each.path)) as entries:
                async for entry in entries:
                    below = entry.path[len(each.path.rstrip("/")) + 1 :]
                    _add(found, StagedMember(entry=entry, target=join(each.to, below)), most)
    for member in found.values():
        _expect_room(found, member)
    await _expect_readable(store, found)
    members = tuple(sorted(found.values(), key=lambda member: member.target.split("/")))
    return StagingPlan(members=members, size=sum(member.entry.size for member in members))


def _add(found: dict[str, StagedMember], member: StagedMember, most: int) -> None:
    if len(member.target.encode()) > LONGEST_PATH:
        raise InvalidRequest(f"{member.entry.path[:80]}… has too long a path for a container.")
    other = found.setdefault(member.target, member)
    if other is not member and not (other.entry.is_collection and member.entry.is_collection):
        raise Conflict(
            f"{other.entry.path} and {member.entry.path} would both be {member.target} in the "
            "container."
        )
    if len(found) > most:
        raise TooLarge(f"The inputs are more than {most} collections and objects. Pack some.")


def _expect_room(found: dict[str, StagedMember], member: StagedMember) -> None:
    """Raise if an object stands where a collection must be."""
    above = parent_of(member.target)
    while above != "/":
        holder = found.get(above)
        if holder is not None and not holder.entry.is_collection:
            raise Conflict(
                f"{member.entry.path} would be {member.target} in the container, inside of the "
                f"data object {holder.entry.path}."
            )
        above = parent_of(above)


async def _expect_readable(store: DataRoot, found: dict[str, StagedMember]) -> None:
    entries = [member.entry for member in found.values() if not member.entry.is_collection]
    hidden = await store.unreadable([entry.path for entry in entries])
    if hidden is not None:
        raise Forbidden(
            f"{hidden}: the account of the data root may not read it. Ask the owner of the data "
            "for that."
        )


def expect_space(plan: StagingPlan, free: int | None) -> None:
    """Raise `TooLarge` if the container's disk can't take what is planned."""
    if free is not None and plan.size > free:
        raise TooLarge(
            f"The inputs have {size_text(plan.size)}, and the engine's disk has only "
            f"{size_text(free)} left. Free space there, or name fewer inputs."
        )


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


class InputStaging:
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

    def __init__(self, store: DataRoot, engine: Engine, most: int) -> None:
        self._store = store
        self._engine = engine
        self._most = most

    async def bring(
        self,
        inputs: tuple[Input, ...],
        container_id: str,
        report: Report,
        fetching: NodeStaging | None = None,
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

    async def _send(self, plan: StagingPlan, container_id: str, report: Report) -> None:
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


def _expect_same(before: StagingPlan, after: StagingPlan) -> None:
    there = {member.target: member for member in after.members}
    for member in before.members:
        now = there.pop(member.target, None)
        # The time of a collection says nothing: what it holds is compared one by one.
        if now is None or (now != member and not member.entry.is_collection):
            raise changed(member.entry)
    for member in there.values():
        raise changed(member.entry)


async def tar_of(store: DataRoot, plan: StagingPlan, report: Report) -> AsyncGenerator[bytes, None]:
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


def _header(member: StagedMember) -> bytes:
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
    store: DataRoot, plan: StagingPlan
) -> AsyncGenerator[tuple[StagedMember, AsyncIterator[bytes]], None]:
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

    batch: list[StagedMember]
    held: int = 0
    task: asyncio.Task[list[bytes]] | None = None


def _begun(store: DataRoot, batch: list[StagedMember]) -> _Fetched:
    size = sum(member.entry.size for member in batch)
    if size > CHUNK:
        return _Fetched(batch)
    entries = [member.entry for member in batch]
    return _Fetched(batch, size, asyncio.create_task(store.read_small(entries)))


def _batches(plan: StagingPlan) -> Iterator[list[StagedMember]]:
    """Cut a plan, in its order, so that no batch but of one member is larger than `SMALL`."""
    batch: list[StagedMember] = []
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
