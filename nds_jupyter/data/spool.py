"""Spool of files sent for jobs, on the server's disk until a container has them.

A file is addressed by its owner and the SHA-256 of its content: sending the same again costs
nothing, and a name never stands for anything but its whole content. A job may wait for hours, so
its files are kept until it ends, and for a while after their last use for reruns.
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
from nds_jupyter.data.partial_writes import is_partial
from nds_jupyter.errors import Conflict, InvalidRequest, PathNotFound, TooLarge
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.jobs.inputs import check_digest
from nds_jupyter.jobs.job import Input, SentFile

THREADS = 4
"""Calls to the disk at one time."""

MIN_RETENTION = 600.0
"""Seconds for which a file is kept at least, since its job is submitted only after it."""

ALTERNATIVE = "Put it into the data root, and name it as data."
"""Ends the sentences about a file that is too large."""


class SpoolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes that are accepted, and the retention of files.

    Parameters
    ----------
    max_file_bytes
        Bytes of one file.
    max_owner_bytes
        Bytes of all files of one owner.
    retention
        Seconds after the last use.
    """

    max_file_bytes: int = 2 * 2**30
    max_owner_bytes: int = 20 * 2**30
    retention: float = 86_400.0


class Spool:
    """Content-addressed storage of files, separate for every owner.

    Parameters
    ----------
    folder
        Of this server alone; made when the first file comes.
    """

    def __init__(self, folder: Path, limits: SpoolLimits) -> None:
        self._folder = folder
        self._limits = limits
        self.data_root = DataRoot(open_backend(str(folder)), threads=THREADS)

    async def close(self) -> None:
        """Free the threads."""
        await self.data_root.close()

    def _path(self, owner: str, sha256: str) -> str:
        # An owner's name may hold anything.
        return f"/{hashlib.sha256(owner.encode()).hexdigest()[:32]}/{check_digest(sha256)}"

    async def add(
        self, owner: str, sha256: str, chunks: AsyncIterator[bytes], length: int | None = None
    ) -> Entry:
        """Store a file completely or not at all.

        Parameters
        ----------
        length
            Bytes that the sender announced.

        Raises
        ------
        InvalidRequest
            If the content has another digest.
        TooLarge
            If it, or all the owner's files together, are larger than allowed, or the disk is.
        """
        path = self._path(owner, sha256)
        max_bytes = self._limits.max_file_bytes
        if length is not None and length > max_bytes:
            raise TooLarge(
                f"The file has {size_text(length)}; at most {size_text(max_bytes)} are "
                f"taken here. {ALTERNATIVE}"
            )
        await self.data_root.calls.run("/", lambda: self._make_folders(path))
        if await self.data_root.find(path) is None:
            used = await self.data_root.calls.run("/", lambda: self._used_bytes(path))
            await self._expect_space(used, length or 0)
            max_bytes = min(max_bytes, self._limits.max_owner_bytes - used)
            # Another request may store the same content first.
            with contextlib.suppress(Conflict):
                digest = bytes.fromhex(sha256)
                await self.data_root.write(path, _limited(chunks, max_bytes), sha256=digest)
        else:
            await _expect_digest(_limited(chunks, max_bytes), sha256)
        return await self.find(owner, sha256)

    def _make_folders(self, path: str) -> None:
        # The values of one user must not be readable by others.
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(f"{self._folder}{path}").parent.mkdir(exist_ok=True, mode=0o700)

    def _used_bytes(self, path: str) -> int:
        folder = Path(f"{self._folder}{path}").parent
        return sum(stat.st_size for _, stat in _files(folder.iterdir()))

    async def _expect_space(self, used: int, length: int) -> None:
        if used + length > self._limits.max_owner_bytes:
            raise TooLarge(
                f"Your files that wait here for jobs have {size_text(used)}, and may have "
                f"{size_text(self._limits.max_owner_bytes)} together. {ALTERNATIVE}"
            )
        free = await self.data_root.free_bytes()
        if free is not None and length > free:
            raise TooLarge(
                f"The server's disk has {size_text(free)} left, too little for a file of "
                f"{size_text(length)}. {ALTERNATIVE}"
            )

    async def _touch(self, path: str) -> None:
        # Not the modification time: by that a transfer sees whether a file is still the same.
        def touch(fs_path: str) -> None:
            os.utime(fs_path, ns=(time.time_ns(), Path(fs_path).stat().st_mtime_ns))

        await self.data_root.call(path, touch)

    async def find(self, owner: str, sha256: str) -> Entry:
        """Return a file, and extend its retention.

        Raises
        ------
        PathNotFound
            If it was not sent, or is not kept any more.
        """
        path = self._path(owner, sha256)
        entry = await self.data_root.find(path)
        if entry is None:
            raise PathNotFound(f"No file of yours with SHA-256 {sha256} is here.")
        await self._touch(path)
        return entry

    def read(self, entry: Entry) -> AsyncGenerator[bytes, None]:
        """Read a file."""
        return self.data_root.read(entry)

    async def with_sizes(self, owner: str, files: Collection[SentFile]) -> tuple[SentFile, ...]:
        """Return the files of a job with their sizes, and extend their retention.

        Raises
        ------
        Conflict
            If some are not here; ``details["missing"]`` has their digests.
        """
        sized: list[SentFile] = []
        missing: dict[str, str] = {}
        for each in files:
            try:
                entry = await self.find(owner, each.sha256)
            except PathNotFound:
                missing.setdefault(each.sha256, each.to)
            else:
                sized.append(msgspec.structs.replace(each, size=entry.size))
        if missing:
            raise Conflict(
                f"files: {', '.join(missing.values())}: not on this server, or no longer. Send the "
                "content first, by PUT /files/{sha256}.",
                missing=list(missing),
            )
        return tuple(sized)

    def as_inputs(self, owner: str, files: Collection[SentFile]) -> tuple[Input, ...]:
        """Return a job's files as inputs from `data_root`."""
        return tuple(Input(path=self._path(owner, each.sha256), to=each.to) for each in files)

    async def first_missing(self, owner: str, files: Collection[SentFile]) -> SentFile | None:
        """Return the first file of a job that is not here as it was sent."""
        for each in files:
            entry = await self.data_root.find(self._path(owner, each.sha256))
            if entry is None or entry.size != each.size:
                return each
        return None

    async def remove_partial_files(self) -> None:
        """Remove what a killed server had begun to write."""
        await self.data_root.calls.run("/", lambda: _remove_partial_files(self._folder))

    async def remove_expired(self, needed: Collection[tuple[str, str]]) -> None:
        """Remove files whose retention has ended.

        Parameters
        ----------
        needed
            Owner and digest of those that unfinished jobs have.
        """
        needed_paths = {self._path(owner, sha256) for owner, sha256 in needed}
        await self.data_root.calls.run("/", lambda: self._remove_expired(needed_paths))

    def _remove_expired(self, needed_paths: Collection[str]) -> None:
        oldest = time.time() - max(self._limits.retention, MIN_RETENTION)
        for file, stat in _files(self._folder.glob("*/*")):
            expired = max(stat.st_atime, stat.st_mtime) < oldest
            if expired and f"/{file.parent.name}/{file.name}" not in needed_paths:
                file.unlink(missing_ok=True)


def _remove_partial_files(folder: Path) -> None:
    for file, _ in _files(folder.glob("*/*")):
        if is_partial(file.name):
            file.unlink(missing_ok=True)


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        # Another thread may remove a file meanwhile.
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()


async def _expect_digest(chunks: AsyncIterator[bytes], sha256: str) -> None:
    digest = hashlib.sha256()
    async for chunk in chunks:
        await asyncio.to_thread(digest.update, chunk)
    if digest.hexdigest() != sha256:
        raise InvalidRequest(f"sha256: what was sent has {digest.hexdigest()}. Send it again.")


async def _limited(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"The file has more than the {size_text(max_bytes)} left. {ALTERNATIVE}")
        yield chunk
