"""Delivery of a job's results from its container into the data root."""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from pathlib import PurePosixPath

from nds_jupyter.archives.tar import TarReader
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Avu
from nds_jupyter.data.input_plan import MAX_BATCH_BYTES
from nds_jupyter.data.input_staging import PROGRESS_INTERVAL, ReportProgress, transfer_errors
from nds_jupyter.data.partial_writes import PartialWrite, partial_path
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import (
    Conflict,
    DataError,
    DeadlineExceeded,
    EngineUnavailable,
    NotOffered,
)
from nds_jupyter.jobs.job import Job, Progress
from nds_jupyter.jobs.logical_paths import join, logical_path, parent_of

RESULTS = "/results"

MAX_CONCURRENT_WRITES = 8
"""Small results written at the same time."""


async def expect_output_writable(data_root: DataRoot, output: str, *, overwrite: bool) -> None:
    """Raise if results could not be written to `output`: better now than after hours of work.

    Raises
    ------
    Conflict
        If `output` is an object, or holds something that may not be replaced.
    Forbidden
        If nothing can be made there.
    """
    existing = await data_root.find(output)
    if existing is not None and not existing.is_collection:
        raise Conflict(f"output: {output} is a data object; results need a collection.")
    if existing is not None and not overwrite and not await data_root.is_empty(output):
        raise Conflict(f"output: {output} is not empty. Name another, or ask to overwrite.")
    await data_root.partial_writes.try_collection(await _partial_collection(data_root, output))


async def _partial_collection(data_root: DataRoot, output: str) -> PartialWrite:
    """Return the temporary collection of results: beside a new `output`, else inside of it.

    An account may write to a collection without the permission to write beside it.
    """
    if await data_root.find(output) is not None:
        return PartialWrite(path=partial_path(output), target=output)
    return PartialWrite(path=partial_path(parent_of(output)), target=output)


class Delivery:
    """Copy of one job's results from its container to its output collection.

    They are written to a temporary collection, and moved to the output when all of them are
    complete and verified. So a delivery can be repeated from the beginning at any time.
    """

    def __init__(
        self, data_root: DataRoot, engine: Engine, job: Job, report: ReportProgress
    ) -> None:
        self._data_root = data_root
        self._engine = engine
        self._job = job
        self._report = report
        self._output = job.spec.output or ""
        self._partial = ""
        self._avus: tuple[Avu, ...] = provenance(job)
        self._writes: set[asyncio.Task[None]] = set()
        self._skipped = 0
        self._done, self._last_report = 0, 0.0

    async def run(self, container_id: str) -> str:
        """Deliver, and return a sentence about what was left out.

        Raises
        ------
        TransferFailed
            If they can't be delivered; then none of them is.
        EngineUnavailable
            If the engine went away meanwhile.
        """
        with transfer_errors():
            partial = await _partial_collection(self._data_root, self._output)
            self._partial = partial.path
            async with self._data_root.partial_writes.registered(partial, resumed=True):
                try:
                    await self._data_root.make_collection(self._partial)
                    await self._copy_results(container_id)
                    await self._move_to_output()
                finally:
                    await self._cancel_writes()
        if not self._skipped:
            return ""
        return f"Links and devices have no place in the data root: {self._skipped} left out."

    async def _cancel_writes(self) -> None:
        for task in self._writes:
            task.cancel()
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def _copy_results(self, container_id: str) -> None:
        archive = _with_engine_errors(self._engine.archive(container_id, RESULTS))
        async with contextlib.aclosing(archive):
            reader = TarReader(archive)
            while (info := await reader.next_member()) is not None:
                await self._copy_member(reader, info)
        await self._wait_for_writes(0)

    async def _copy_member(self, reader: TarReader, info: tarfile.TarInfo) -> None:
        partial = self._partial_write(info.name)
        if info.isdir():
            await self._data_root.make_collection(partial.path)
        elif info.isreg() and info.size <= MAX_BATCH_BYTES:
            content = await reader.read_exactly(info.size)
            await self._wait_for_writes(MAX_CONCURRENT_WRITES - 1)
            self._start_write(self._write(partial, _single_chunk(content)))
        elif info.isreg():
            await self._write(partial, reader.read_content(info.size))
        elif info.islnk():
            await self._wait_for_writes(0)
            await self._copy_object(self._partial_write(info.linkname), partial)
        else:
            self._skipped += 1
        if info.isreg():
            await reader.skip(-info.size % tarfile.BLOCKSIZE)

    def _partial_write(self, name: str) -> PartialWrite:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            raise DataError(f"output: the name {shown} is not UTF-8. Rename it.") from None
        parts = [part for part in PurePosixPath(name).parts if part not in {"/", ".."}]
        below = "/".join(parts[1:])
        path, target = join(self._partial, below), join(self._output, below)
        return PartialWrite(
            path=logical_path(path, field="output"), target=logical_path(target, field="output")
        )

    def _start_write(self, write: Coroutine[object, object, None]) -> None:
        self._writes.add(asyncio.create_task(write))

    async def _wait_for_writes(self, remaining: int) -> None:
        """Wait until at most so many results are still being written."""
        while len(self._writes) > remaining:
            done, self._writes = await asyncio.wait(
                self._writes, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()

    async def _write(self, partial: PartialWrite, content: AsyncIterator[bytes]) -> None:
        await self._data_root.write_partial(partial, self._counted(content))
        if not self._avus:
            return
        try:
            await self._data_root.set_metadata(partial.path, self._avus)
        except NotOffered:
            # The job's record has the same facts.
            self._avus = ()

    async def _counted(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in content:
            yield chunk
            self._done += len(chunk)
            if time.monotonic() - self._last_report >= PROGRESS_INTERVAL:
                self._last_report = time.monotonic()
                await self._report(Progress(done=self._done, total=None, unit="bytes"))

    async def _copy_object(self, source: PartialWrite, partial: PartialWrite) -> None:
        entry = await self._data_root.entry(source.path)
        await self._write(partial, self._data_root.read(entry))

    async def _move_to_output(self) -> None:
        """Move everything to its path: by one rename if that is free, else object by object."""
        output = self._output
        if await self._data_root.find(output) is None:
            await self._data_root.move(self._partial, output)
            return
        async with contextlib.aclosing(self._data_root.walk(self._partial)) as walk:
            entries = [entry async for entry in walk]
        for entry in entries:
            target = join(output, entry.path[len(self._partial) + 1 :])
            if entry.is_collection:
                await self._data_root.make_collection(target)
            else:
                await self._move_object(entry.path, target)
        await self._data_root.discard(self._partial)

    async def _move_object(self, source: str, target: str) -> None:
        try:
            await self._data_root.move(source, target)
        except Conflict:
            # It may be there from an attempt that was interrupted at the very end.
            if await self._data_root.have_same_content(source, target):
                return
            if not self._job.spec.overwrite:
                raise
            await self._replace(source, target)

    async def _replace(self, source: str, target: str) -> None:
        partial = PartialWrite(path=partial_path(parent_of(target)), target=target)
        async with self._data_root.partial_writes.registered(partial):
            await self._data_root.move(source, partial.path)
            await self._data_root.move(partial.path, target, overwrite=True)


async def _with_engine_errors(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Mark deadlines of an engine's stream as the engine's: they are not the data root's."""
    try:
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except DeadlineExceeded as exc:
        raise EngineUnavailable(exc.message) from exc


def provenance(job: Job) -> tuple[Avu, ...]:
    """Return the provenance of results as metadata."""
    facts = [
        ("nds.job", job.job_id),
        ("nds.image_digest", job.image_digest or ""),
        ("nds.script_sha256", job.spec.script_sha256),
        *(("nds.input", each.path) for each in job.spec.data),
    ]
    return tuple(dict.fromkeys(Avu(name=name, value=value) for name, value in facts if value))


async def _single_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content
