"""Spool of files sent for jobs, on the server's disk until a container has them.

A file is known by the SHA-256 of its content, for one owner: sending the same again costs nothing,
and a name never stands for anything but its whole content. A job may wait for hours, so its files
stay while it is under way, and for a while after their last use for who runs it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.partial_writes import is_draft
from nds_jupyter.errors import Conflict, InvalidRequest, PathNotFound, TooLarge
from nds_jupyter.jobs.inputs import check_digest
from nds_jupyter.jobs.job import Input, SentFile
from nds_jupyter.jobs.sizes import size_text

THREADS = 4
"""Calls to the disk at one time."""

LEAST_KEEP = 600.0
"""Seconds for which a file is kept at least, since its job is submitted only after it."""

ELSEWHERE = "Put it into the data root, and name it as data."


class SpoolBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is taken, and for how long it is kept.

    Parameters
    ----------
    most
        Bytes of one file.
    most_of_owner
        Bytes of all files of one owner.
    keep
        Seconds after the last use.
    """

    most: int = 2 * 2**30
    most_of_owner: int = 20 * 2**30
    keep: float = 86_400.0


class Spool:
    """Keeps files by owner and digest.

    Parameters
    ----------
    folder
        Of this server alone; made when the first file comes.
    """

    def __init__(self, folder: Path, bounds: SpoolBounds) -> None:
        self._folder = folder
        self._bounds = bounds
        self.store = DataRoot(open_backend(str(folder)), threads=THREADS)

    async def close(self) -> None:
        """Free the threads."""
        await self.store.close()

    def _path(self, owner: str, sha256: str) -> str:
        # An owner's name may hold anything.
        return f"/{hashlib.sha256(owner.encode()).hexdigest()[:32]}/{check_digest(sha256)}"

    async def receive(
        self, owner: str, sha256: str, chunks: AsyncIterator[bytes], length: int | None = None
    ) -> Entry:
        """Take a file, all of it or nothing.

        Parameters
        ----------
        length
            Bytes that are announced.

        Raises
        ------
        InvalidRequest
            If the content has another digest.
        TooLarge
            If it, or all the owner's files together, are larger than allowed, or the disk is.
        """
        path = self._path(owner, sha256)
        if length is not None and length > self._bounds.most:
            raise TooLarge(
                f"The file has {size_text(length)}; at most {size_text(self._bounds.most)} are "
                f"taken here. {ELSEWHERE}"
            )
        await self.store.calls.do("/", lambda: self._make(path))
        if await self.store.find(path) is None:
            used = await self.store.calls.do("/", lambda: self._used(path))
            await self._expect_room(used, length or 0)
            most = min(self._bounds.most, self._bounds.most_of_owner - used)
            # Who sends the same at the same moment may be the first to have it in place.
            with contextlib.suppress(Conflict):
                digest = bytes.fromhex(sha256)
                await self.store.write(path, _bounded(chunks, most), sha256=digest)
        else:
            await _expect_digest(_bounded(chunks, self._bounds.most), sha256)
        return await self.find(owner, sha256)

    def _make(self, path: str) -> None:
        # What is a value of one user is nobody else's to read.
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(f"{self._folder}{path}").parent.mkdir(exist_ok=True, mode=0o700)

    def _used(self, path: str) -> int:
        folder = Path(f"{self._folder}{path}").parent
        return sum(facts.st_size for _, facts in _files(folder.iterdir()))

    async def _expect_room(self, used: int, length: int) -> None:
        if used + length > self._bounds.most_of_owner:
            raise TooLarge(
                f"Your files that wait here for jobs have {size_text(used)}, and may have "
                f"{size_text(self._bounds.most_of_owner)} together. {ELSEWHERE}"
            )
        free = await self.store.free()
        if free is not None and length > free:
            raise TooLarge(
                f"The server's disk has {size_text(free)} left, too little for a file of "
                f"{size_text(length)}. {ELSEWHERE}"
            )

    async def _touch(self, path: str) -> None:
        # Not the time of change: by that a transfer sees whether a file is still the same.
        def touch(full: str) -> None:
            os.utime(full, ns=(time.time_ns(), Path(full).stat().st_mtime_ns))

        await self.store.do(path, touch)

    async def find(self, owner: str, sha256: str) -> Entry:
        """Return a file, to be kept for another while.

        Raises
        ------
        PathNotFound
            If it was not sent, or is not kept any more.
        """
        path = self._path(owner, sha256)
        entry = await self.store.find(path)
        if entry is None:
            raise PathNotFound(f"No file of yours with SHA-256 {sha256} is here.")
        await self._touch(path)
        return entry

    def read(self, entry: Entry) -> AsyncGenerator[bytes, None]:
        """Read a file."""
        return self.store.read(entry)

    async def measured(self, owner: str, files: Collection[SentFile]) -> tuple[SentFile, ...]:
        """Return the files of a job with their sizes, to be kept for another while.

        Raises
        ------
        Conflict
            If some are not here; ``details["missing"]`` has their digests.
        """
        found: list[SentFile] = []
        missing: dict[str, str] = {}
        for each in files:
            try:
                entry = await self.find(owner, each.sha256)
            except PathNotFound:
                missing.setdefault(each.sha256, each.to)
            else:
                found.append(msgspec.structs.replace(each, size=entry.size))
        if missing:
            raise Conflict(
                f"files: {', '.join(missing.values())}: not on this server, or no longer. Send the "
                "content first, by PUT /files/{sha256}.",
                missing=list(missing),
            )
        return tuple(found)

    def inputs(self, owner: str, files: Collection[SentFile]) -> tuple[Input, ...]:
        """Return a job's files as inputs from `store`."""
        return tuple(Input(path=self._path(owner, each.sha256), to=each.to) for each in files)

    async def lost(self, owner: str, files: Collection[SentFile]) -> SentFile | None:
        """Return the first file of a job that is not here as it was sent."""
        for each in files:
            entry = await self.store.find(self._path(owner, each.sha256))
            if entry is None or entry.size != each.size:
                return each
        return None

    async def prepare(self) -> None:
        """Remove what a server that was killed had begun to write."""
        await self.store.calls.do("/", lambda: self._remove(set(), drafts=True))

    async def sweep(self, needed: Collection[tuple[str, str]]) -> None:
        """Remove files whose time has passed.

        Parameters
        ----------
        needed
            Owner and digest of those that jobs under way have.
        """
        kept = {self._path(owner, sha256) for owner, sha256 in needed}
        await self.store.calls.do("/", lambda: self._remove(kept, drafts=False))

    def _remove(self, kept: Collection[str], *, drafts: bool) -> None:
        oldest = time.time() - max(self._bounds.keep, LEAST_KEEP)
        for file, facts in _files(self._folder.glob("*/*")):
            aged = max(facts.st_atime, facts.st_mtime) < oldest
            if is_draft(file.name) if drafts else aged and _name(file) not in kept:
                file.unlink(missing_ok=True)


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        # Another thread may remove what this one has found.
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()


def _name(file: Path) -> str:
    return f"/{file.parent.name}/{file.name}"


async def _expect_digest(chunks: AsyncIterator[bytes], sha256: str) -> None:
    digest = hashlib.sha256()
    async for chunk in chunks:
        await asyncio.to_thread(digest.update, chunk)
    if digest.hexdigest() != sha256:
        raise InvalidRequest(f"sha256: what was sent has {digest.hexdigest()}. Send it again.")


async def _bounded(chunks: AsyncIterator[bytes], most: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The file has more than the {size_text(most)} left. {ELSEWHERE}")
        yield chunk
