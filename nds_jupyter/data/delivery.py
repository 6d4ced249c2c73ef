"""Delivery of results from a container into the data root."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import PurePosixPath

from nds_jupyter.archives.tar import TarReader
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Avu
from nds_jupyter.data.partial_writes import PartialWrite, draft_in
from nds_jupyter.data.staging import PROGRESS_EVERY, SMALL, Report
from nds_jupyter.data.transfer_errors import of_the_data, of_the_engine
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import Conflict, DataError, NotOffered
from nds_jupyter.jobs.job import Job, Progress
from nds_jupyter.jobs.logical_paths import join, parent_of

RESULTS = "/results"

AT_ONCE = 8
"""Small results written at the same time."""


async def expect_place(store: DataRoot, output: str, *, overwrite: bool) -> None:
    """Raise if results could not have their place: better now than after hours of work.

    Raises
    ------
    Conflict
        If `output` is an object, or holds something that may not be replaced.
    Forbidden
        If nothing can be made there.
    """
    there = await store.find(output)
    if there is not None and not there.is_collection:
        raise Conflict(f"output: {output} is a data object; results need a collection.")
    if there is not None and not overwrite and not await store.is_empty(output):
        raise Conflict(f"output: {output} is not empty. Name another, or ask to overwrite.")
    await store.drafts.rehearse(await _draft_for(store, output))


async def _draft_for(store: DataRoot, output: str, name: str = "") -> PartialWrite:
    """Return where results are collected: beside what is not there yet, else inside of it.

    An account may write to a collection without the permission to write beside it.
    """
    if await store.find(output) is not None:
        return PartialWrite(path=draft_in(output, name), goal=output)
    return PartialWrite(path=draft_in(parent_of(output), name), goal=output)


class Delivery:
    """The results of one job, on their way.

    They are collected near their goal, under a name of their own, and get their place when all
    of them are there and verified. So they can be delivered again from the beginning at any time.
    """

    def __init__(self, store: DataRoot, engine: Engine, job: Job, report: Report) -> None:
        self._store = store
        self._engine = engine
        self._job = job
        self._report = report
        self._output = job.spec.output or ""
        self._draft = ""
        self._avus: tuple[Avu, ...] = provenance(job)
        self._under_way: set[asyncio.Task[None]] = set()
        self._left_out = 0
        self._done, self._told = 0, 0.0

    async def run(self, container_id: str) -> str:
        """Deliver, and return a sentence about what could not be taken along.

        Raises
        ------
        TransferFailed
            If they can't be delivered; then none of them is.
        EngineUnavailable
            If the engine went away meanwhile.
        """
        drafts = self._store.drafts
        with of_the_data():
            draft = await _draft_for(self._store, self._output, self._job.job_id)
            self._draft = draft.path
            async with drafts.held(draft, resumed=True):
                try:
                    await self._store.make(self._draft)
                    await self._collect(container_id)
                    await self._settle()
                finally:
                    await self._cancel_writes()
        if not self._left_out:
            return ""
        return f"Links and devices have no place in the data root: {self._left_out} left out."

    async def _cancel_writes(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _collect(self, container_id: str) -> None:
        archive = of_the_engine(self._engine.archive(container_id, RESULTS))
        async with contextlib.aclosing(archive):
            reader = TarReader(archive)
            while (info := await reader.member()) is not None:
                await self._take(reader, info)
        await self._until_written(0)

    async def _take(self, reader: TarReader, info: tarfile.TarInfo) -> None:
        draft = self._draft_of(info.name)
        if info.isdir():
            await self._store.make(draft.path)
        elif info.isreg() and info.size <= SMALL:
            content = await reader.exactly(info.size)
            await self._until_written(AT_ONCE - 1)
            self._begin(self._write(draft, _once(content)))
        elif info.isreg():
            await self._write(draft, reader.content(info.size))
        elif info.islnk():
            await self._until_written(0)
            await self._copy(self._draft_of(info.linkname), draft)
        else:
            self._left_out += 1
        if info.isreg():
            await reader.skip(-info.size % tarfile.BLOCKSIZE)

    def _draft_of(self, name: str) -> PartialWrite:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise DataError(f"output: the name {shown} is not UTF-8. Rename it.") from None
        parts = [part for part in PurePosixPath(name).parts if part not in {"/", ".."}]
        below = "/".join(parts[1:])
        path, goal = join(self._draft, below), join(self._output, below)
        logical = self._store.logical
        return PartialWrite(path=logical(path, "output"), goal=logical(goal, "output"))

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        self._under_way.add(asyncio.create_task(work))

    async def _until_written(self, left: int) -> None:
        """Wait until at most so many results are still being written."""
        while len(self._under_way) > left:
            done, self._under_way = await asyncio.wait(
                self._under_way, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()

    async def _write(self, draft: PartialWrite, content: AsyncIterator[bytes]) -> None:
        await self._store.write_unseen(draft, self._counted(content))
        if not self._avus:
            return
        try:
            await self._store.set_metadata(draft.path, self._avus)
        except NotOffered:
            # The job's record has the same facts.
            self._avus = ()

    async def _counted(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in content:
            yield chunk
            self._done += len(chunk)
            if time.monotonic() - self._told >= PROGRESS_EVERY:
                self._told = time.monotonic()
                await self._report(Progress(done=self._done, total=None, unit="bytes"))

    async def _copy(self, source: PartialWrite, draft: PartialWrite) -> None:
        entry = await self._store.entry(source.path)
        await self._write(draft, self._store.read(entry))

    async def _settle(self) -> None:
        """Give everything its place: by one step if that is free, else one object at a time."""
        output = self._output
        if await self._store.find(output) is None:
            await self._store.move(self._draft, output)
            return
        async with contextlib.aclosing(self._store.walk(self._draft)) as entries:
            found = [entry async for entry in entries]
        for entry in found:
            target = join(output, entry.path[len(self._draft) + 1 :])
            if entry.is_collection:
                await self._store.make(target)
            else:
                await self._settle_object(entry.path, target)
        await self._store.discard(self._draft)

    async def _settle_object(self, source: str, target: str) -> None:
        try:
            await self._store.move(source, target)
        except Conflict:
            # It may be there from an attempt that was cut off at the very end.
            if await self._store.same(source, target):
                return
            if not self._job.spec.overwrite:
                raise
            await self._replace(source, target)

    async def _replace(self, source: str, target: str) -> None:
        draft = PartialWrite(path=draft_in(parent_of(target)), goal=target)
        async with self._store.drafts.held(draft):
            await self._store.move(source, draft.path)
            await self._store.move(draft.path, target, overwrite=True)


def provenance(job: Job) -> tuple[Avu, ...]:
    """Return where results come from, as metadata."""
    facts = [
        ("nds.job", job.job_id),
        ("nds.image_digest", job.image_digest or ""),
        ("nds.script_sha256", job.spec.script_sha256),
        *(("nds.input", each.path) for each in job.spec.data),
    ]
    return tuple(dict.fromkeys(Avu(name=name, value=value) for name, value in facts if value))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
