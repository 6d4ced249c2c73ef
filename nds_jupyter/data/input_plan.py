"""Plan of a job's inputs, and the content of its entries in order, read ahead."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import msgspec

from nds_jupyter.data.backend import CHUNK
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.object_reader import INITIAL_BACKOFF, TRANSIENT_ERRORS
from nds_jupyter.errors import Conflict, Forbidden, InvalidRequest, TooLarge
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.job import Input
from nds_jupyter.jobs.logical_paths import LONGEST_PATH, join, parent_of


class PlannedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One collection or object, and its absolute path in the container."""

    entry: Entry
    target: str


class InputPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that goes into one container, collections before what they hold.

    Parameters
    ----------
    size
        Bytes of all objects together.
    """

    entries: tuple[PlannedEntry, ...]
    size: int


async def make_plan(data_root: DataRoot, inputs: tuple[Input, ...], max_entries: int) -> InputPlan:
    """List all inputs recursively, and check them.

    Parameters
    ----------
    max_entries
        A plan is held in memory, which bounds it.

    Raises
    ------
    NdsError
        What is wrong with them: a missing path, two that have the same target, too many.
    """
    failures = 0
    while True:
        try:
            return await _list_inputs(data_root, inputs, max_entries)
        except TRANSIENT_ERRORS:
            failures += 1
            if failures > data_root.retries:
                raise
            await asyncio.sleep(INITIAL_BACKOFF * 2**failures)


async def _list_inputs(
    data_root: DataRoot, inputs: tuple[Input, ...], max_entries: int
) -> InputPlan:
    by_target: dict[str, PlannedEntry] = {}
    for each in inputs:
        top = await data_root.entry(each.path)
        _add(by_target, PlannedEntry(entry=top, target=each.to), max_entries)
        if top.is_collection:
            async with contextlib.aclosing(data_root.walk(top.path)) as entries:
                async for entry in entries:
                    below = entry.path[len(top.path.rstrip("/")) + 1 :]
                    planned = PlannedEntry(entry=entry, target=join(each.to, below))
                    _add(by_target, planned, max_entries)
    for planned in by_target.values():
        _expect_collections_above(by_target, planned)
    await _expect_readable(data_root, by_target)
    ordered = sorted(by_target.values(), key=lambda planned: planned.target.split("/"))
    return InputPlan(entries=tuple(ordered), size=sum(each.entry.size for each in ordered))


def _add(by_target: dict[str, PlannedEntry], planned: PlannedEntry, max_entries: int) -> None:
    if len(planned.target.encode()) > LONGEST_PATH:
        raise InvalidRequest(f"{planned.entry.path[:80]}… has too long a path for a container.")
    other = by_target.setdefault(planned.target, planned)
    if other is not planned and not (other.entry.is_collection and planned.entry.is_collection):
        raise Conflict(
            f"{other.entry.path} and {planned.entry.path} would both be {planned.target} in the "
            "container."
        )
    if len(by_target) > max_entries:
        raise TooLarge(
            f"The inputs are more than {max_entries} collections and objects. Pack some."
        )


def _expect_collections_above(by_target: dict[str, PlannedEntry], planned: PlannedEntry) -> None:
    """Raise if an object stands where a collection must be."""
    above = parent_of(planned.target)
    while above != "/":
        holder = by_target.get(above)
        if holder is not None and not holder.entry.is_collection:
            raise Conflict(
                f"{planned.entry.path} would be {planned.target} in the container, inside of the "
                f"data object {holder.entry.path}."
            )
        above = parent_of(above)


async def _expect_readable(data_root: DataRoot, by_target: dict[str, PlannedEntry]) -> None:
    entries = [planned.entry for planned in by_target.values()]
    paths = [entry.path for entry in entries if not entry.is_collection]
    unreadable = await data_root.first_unreadable(paths)
    if unreadable is not None:
        raise Forbidden(
            f"{unreadable}: the account of the data root may not read it. Ask the owner of the "
            "data for that."
        )


def expect_space(plan: InputPlan, free: int | None) -> None:
    """Raise `TooLarge` if the container's disk has too few free bytes for a plan."""
    if free is not None and plan.size > free:
        raise TooLarge(
            f"The inputs have {size_text(plan.size)}, and the engine's disk has only "
            f"{size_text(free)} left. Free space there, or name fewer inputs."
        )


MAX_BATCH_BYTES = 256 * 2**10
"""Bytes of a batch of objects at most, unless it is one object."""

MAX_BATCH_ENTRIES = 8
"""Small objects read by one call in a thread, which costs as much as reading one of them."""

READ_AHEAD_BATCHES = 16
"""Batches read ahead, several at the same time; an object of more than `CHUNK` never is."""

READ_AHEAD_BYTES = 8 * 2**20
"""Bytes of batches read ahead after which no other is begun: they bound the memory."""


async def read_entries(
    data_root: DataRoot, plan: InputPlan
) -> AsyncGenerator[tuple[PlannedEntry, AsyncIterator[bytes]], None]:
    """Yield every entry of a plan with its content, in order; small objects are read ahead."""
    pending: deque[_PendingBatch] = deque()
    batches = _batches(plan)
    try:
        while True:
            while (
                len(pending) < READ_AHEAD_BATCHES
                and sum(each.size for each in pending) < READ_AHEAD_BYTES
            ):
                if (batch := next(batches, None)) is None:
                    break
                pending.append(_start_reading(data_root, batch))
            if not pending:
                return
            first = pending[0]
            if first.task is not None:
                for planned, data in zip(first.batch, await first.task, strict=True):
                    yield planned, _single_chunk(data)
            else:
                async with contextlib.aclosing(data_root.read(first.batch[0].entry)) as chunks:
                    yield first.batch[0], chunks
            pending.popleft()
    finally:
        tasks = [each.task for each in pending if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _PendingBatch(msgspec.Struct, frozen=True):
    """Entries that are read ahead; without a task it is one object that is too large for that."""

    batch: list[PlannedEntry]
    size: int = 0
    task: asyncio.Task[list[bytes]] | None = None


def _start_reading(data_root: DataRoot, batch: list[PlannedEntry]) -> _PendingBatch:
    size = sum(planned.entry.size for planned in batch)
    if size > CHUNK:
        return _PendingBatch(batch)
    entries = [planned.entry for planned in batch]
    return _PendingBatch(batch, size, asyncio.create_task(data_root.read_small(entries)))


def _batches(plan: InputPlan) -> Iterator[list[PlannedEntry]]:
    """Cut a plan, in its order, into batches of at most `MAX_BATCH_BYTES`, or one entry."""
    batch: list[PlannedEntry] = []
    size = 0
    for planned in plan.entries:
        if batch and (
            len(batch) == MAX_BATCH_ENTRIES or size + planned.entry.size > MAX_BATCH_BYTES
        ):
            yield batch
            batch, size = [], 0
        batch.append(planned)
        size += planned.entry.size
    if batch:
        yield batch


async def _single_chunk(data: bytes) -> AsyncIterator[bytes]:
    yield data
