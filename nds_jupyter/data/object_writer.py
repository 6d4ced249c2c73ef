"""Writer of objects: under a temporary name, verified, then renamed; a failure leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from nds_jupyter.data.entries import Entry
from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.data.partial_writes import PartialWrite, PartialWrites, partial_path
from nds_jupyter.errors import Conflict, DataError, InvalidRequest
from nds_jupyter.jobs.logical_paths import name_of, parent_of


class IfExists(enum.Enum):
    """What a write does where an object has the name already."""

    REFUSE = "refuse"
    REPLACE = "replace"


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """Size and digest of what was sent to the filesystem."""

    size: int
    sha256: bytes


class ObjectWriter:
    """Writes objects of a data root, each of them completely or not at all.

    Parameters
    ----------
    partial_writes
        Registry in which an object is while it is written.
    """

    def __init__(self, access: FilesystemAccess, partial_writes: PartialWrites) -> None:
        self._access = access
        self._partial_writes = partial_writes

    async def write(
        self,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        exists: IfExists = IfExists.REFUSE,
        sha256: bytes | None = None,
    ) -> Entry:
        """Write an object under a temporary name, verify it, then rename it.

        Until then what has the name stays as it is; an interrupted write is removed.

        Parameters
        ----------
        sha256
            The digest that the content must have, where it is known.

        Raises
        ------
        InvalidRequest
            If it has another digest.
        Conflict
            If the name is taken by a collection, or by an object that `exists` protects.
        PathNotFound
            If its collection is not there.
        """
        await self._expect_writable(path, exists)
        partial = PartialWrite(path=partial_path(parent_of(path)), target=path)
        async with self._partial_writes.registered(partial):
            stored = await self.write_partial(partial, chunks, sha256=sha256)
            await self._rename(partial, stored.size, exists)
        # Somebody else may replace it at this moment; what was written here is still the answer.
        written = msgspec.structs.replace(stored, path=path, name=name_of(path))
        return await self._access.find(path) or written

    async def write_partial(
        self,
        partial: PartialWrite,
        chunks: AsyncIterator[bytes],
        *,
        sha256: bytes | None = None,
    ) -> Entry:
        """Write an object under its temporary name, and verify it.

        Parameters
        ----------
        sha256
            The digest that the content must have, where it is known.

        Raises
        ------
        NdsError
            What went wrong; its sentence names the target. The caller removes what was written.
        """
        written = await self._write(partial, chunks)
        if sha256 is not None and written.sha256 != sha256:
            raise InvalidRequest(
                f"sha256: what was sent has {written.sha256.hex()}. Send it again."
            )
        stored = await self._access.entry(partial.path)
        if stored.size != written.size or not await self._has_digest(partial, written):
            raise DataError(
                f"{partial.target}: what was stored differs from what was sent. Try again."
            )
        return stored

    async def _expect_writable(self, path: str, exists: IfExists) -> None:
        existing = await self._access.find(path)
        if existing is not None and existing.is_collection:
            raise Conflict(f"{path} is a collection; an object can't take its place.")
        if existing is not None and exists is IfExists.REFUSE:
            raise Conflict(f"{path} exists in the data root.")
        if existing is None:
            await expect_collection(self._access, parent_of(path))

    async def _write(self, partial: PartialWrite, chunks: AsyncIterator[bytes]) -> _Written:
        # In a list, since a write that is cancelled while it opens has a file all the same.
        files: list[Any] = []
        digest = hashlib.sha256()
        size = 0
        backend, calls = self._access.backend, self._access.calls

        def open_file(target: str) -> None:
            files.append(backend.open_write(backend.filesystem_path(partial.path), target))

        def write_chunk(chunk: bytes) -> None:
            digest.update(chunk)
            files[0].write(chunk)

        try:
            await self._access.call(partial.target, open_file)
            async for chunk in chunks:
                await calls.run(partial.target, functools.partial(write_chunk, chunk))
                size += len(chunk)
            await self._access.call(partial.target, lambda _: files[0].close(), size)
        except BaseException:
            for file in files:
                with contextlib.suppress(Exception):
                    abort = functools.partial(backend.abort_write, file)
                    await asyncio.shield(calls.run(partial.target, abort))
            raise
        return _Written(size=size, sha256=digest.digest())

    async def _has_digest(self, partial: PartialWrite, written: _Written) -> bool:
        backend = self._access.backend
        return await self._access.call(
            partial.path,
            lambda fs_path: backend.has_digest(fs_path, written.sha256),
            written.size,
        )

    async def _rename(self, partial: PartialWrite, size: int, exists: IfExists) -> None:
        backend = self._access.backend
        await self._access.call(
            partial.target,
            lambda target: backend.move_object(
                backend.filesystem_path(partial.path),
                target,
                replace=exists is IfExists.REPLACE,
                keep_metadata=True,
            ),
            size,
        )


async def expect_collection(access: FilesystemAccess, path: str) -> None:
    """Raise Conflict if a path is an object, PathNotFound if it is nothing."""
    if not (await access.entry(path)).is_collection:
        raise Conflict(f"{path} is a data object, and can hold nothing.")
