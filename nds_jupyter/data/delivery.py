"""Streams the results of a job out of its container into the data root."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import PurePosixPath

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.failures import of_the_data, of_the_engine
from nds_jupyter.data.staging import PROGRESS_EVERY, SMALL, Report
from nds_jupyter.data.store import DataStore
from nds_jupyter.data.writing import DRAFT, Exists
from nds_jupyter.datapaths import join, parent_of
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import Conflict, DataError, NotOffered
from nds_jupyter.jobs import Job, Progress
from nds_jupyter.tarstream import TarReader

RESULTS = "/results"

AT_ONCE = 8
"""Small results written at the same time."""


async def expect_free(store: DataStore, output: str, *, overwrite: bool) -> None:
    """Raise `Conflict` if results would come upon something that is there.

    Raises
    ------
    Conflict
        If `output` is an object, or holds something that may not be replaced.
    """
    there = await store.find(output)
    if there is None:
        return
    if not there.is_collection:
        raise Conflict(f"output: {output} is a data object; results need a collection.")
    if not overwrite and (await store.page(output, limit=1)).entries:
        raise Conflict(f"output: {output} is not empty. Name another, or ask to overwrite.")


class Delivery:
    """The results of one job, on their way.

    They are collected beside their goal, under a name of their own, and get their place when all
    of them are there and verified. So they can be delivered again from the beginning at any time.
    """

    def __init__(self, store: DataStore, engine: Engine, job: Job, report: Report) -> None:
        self._store = store
        self._engine = engine
        self._job = job
        self._report = report
        self._output = job.spec.output or ""
        self._draft = join(parent_of(self._output), DRAFT.format(job.job_id))
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
        try:
            with of_the_data():
                await self._store.make(self._draft)
                await self._collect(container_id)
                await self._settle()
        except BaseException:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            with contextlib.suppress(Exception):
                await asyncio.shield(self._store.discard(self._draft))
            raise
        if not self._left_out:
            return ""
        return f"Links and devices have no place in the data root: {self._left_out} left out."

    async def _collect(self, container_id: str) -> None:
        archive = of_the_engine(self._engine.archive(container_id, RESULTS))
        async with contextlib.aclosing(archive):
            reader = TarReader(archive)
            while (info := await reader.member()) is not None:
                await self._take(reader, info)
        await self._until_written(0)

    async def _take(self, reader: TarReader, info: tarfile.TarInfo) -> None:
        path = self._place_of(info.name)
        if info.isdir():
            await self._store.make(path)
        elif info.isreg() and info.size <= SMALL:
            content = await reader.exactly(info.size)
            await self._until_written(AT_ONCE - 1)
            self._begin(self._write(path, _once(content)))
        elif info.isreg():
            await self._write(path, reader.content(info.size))
        elif info.islnk():
            await self._until_written(0)
            await self._copy(self._place_of(info.linkname), path)
        else:
            self._left_out += 1
        if info.isreg():
            await reader.skip(-info.size % tarfile.BLOCKSIZE)

    def _place_of(self, name: str) -> str:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise DataError(f"output: the name {shown} is not UTF-8. Rename it.") from None
        parts = [part for part in PurePosixPath(name).parts if part not in {"/", ".."}]
        return self._store.logical(join(self._draft, "/".join(parts[1:])), "output")

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

    async def _write(self, path: str, content: AsyncIterator[bytes]) -> None:
        await self._store.write(path, self._counted(content), exists=Exists.REPLACE)
        if not self._avus:
            return
        try:
            await self._store.set_metadata(path, self._avus)
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

    async def _copy(self, source: str, path: str) -> None:
        entry = await self._store.entry(source)
        await self._write(path, self._store.read(entry))

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
        overwrite = self._job.spec.overwrite
        try:
            await self._store.move(source, target, overwrite=overwrite)
        except Conflict:
            # It may be there from an attempt that was cut off at the very end.
            if overwrite or not await self._store.same(source, target):
                raise


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
