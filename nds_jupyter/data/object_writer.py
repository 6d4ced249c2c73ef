"""Writer of objects: an interrupted write leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hashlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec

from nds_jupyter.data.entries import Entry
from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.data.partial_writes import PartialWrite, draft_in
from nds_jupyter.errors import Conflict, DataError, InvalidRequest
from nds_jupyter.jobs.logical_paths import name_of, parent_of


class IfExists(enum.Enum):
    """What a write does where an object has the name already."""

    REFUSE = "refuse"
    REPLACE = "replace"


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    sha256: bytes


async def write(
    access: FilesystemAccess,
    path: str,
    chunks: AsyncIterator[bytes],
    *,
    exists: IfExists = IfExists.REFUSE,
    sha256: bytes | None = None,
) -> Entry:
    """Write an object: under another name, verified, then moved to its own.

    Until then what has the name stays as it is; of an interrupted write nothing is left.

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
    await _expect_writable(access, path, exists)
    draft = PartialWrite(path=draft_in(parent_of(path)), goal=path)
    async with access.drafts.held(draft):
        written = await write_unseen(access, draft, chunks, sha256=sha256)
        await _place(access, draft, written.size, exists)
    # Somebody else may replace it in this moment, which takes nothing from what was done.
    here = msgspec.structs.replace(written, path=path, name=name_of(path))
    return await access.find(path) or here


async def write_unseen(
    access: FilesystemAccess,
    draft: PartialWrite,
    chunks: AsyncIterator[bytes],
    *,
    sha256: bytes | None = None,
) -> Entry:
    """Write an object where nobody looks yet, and verify it.

    Parameters
    ----------
    sha256
        The digest that the content must have, where it is known.

    Raises
    ------
    NdsError
        What went wrong; its sentence names the goal. What was written is for the caller to remove.
    """
    written = await _write(access, draft, chunks)
    if sha256 is not None and written.sha256 != sha256:
        raise InvalidRequest(f"sha256: what was sent has {written.sha256.hex()}. Send it again.")
    stored = await access.entry(draft.path)
    if stored.size != written.size or not await _has_digest(access, draft, written):
        raise DataError(f"{draft.goal}: what was stored differs from what was sent. Try again.")
    return stored


async def _expect_writable(access: FilesystemAccess, path: str, exists: IfExists) -> None:
    there = await access.find(path)
    if there is not None and there.is_collection:
        raise Conflict(f"{path} is a collection; an object can't take its place.")
    if there is not None and exists is IfExists.REFUSE:
        raise Conflict(f"{path} exists in the data root.")
    if there is None:
        await expect_collection(access, parent_of(path))


async def expect_collection(access: FilesystemAccess, path: str) -> None:
    """Raise Conflict if a path is an object, PathNotFound if it is nothing."""
    if not (await access.entry(path)).is_collection:
        raise Conflict(f"{path} is a data object, and can hold nothing.")


async def _write(
    access: FilesystemAccess, draft: PartialWrite, chunks: AsyncIterator[bytes]
) -> _Written:
    # In a list, since a write that is given up while it opens has a file all the same.
    files: list[Any] = []
    digest = hashlib.sha256()
    size = 0
    backend = access.backend

    def begin(goal: str) -> None:
        files.append(backend.open_write(backend.full(draft.path), goal))

    try:
        await access.do(draft.goal, begin)
        async for chunk in chunks:
            await access.calls.do(draft.goal, partial(_put, files[0], digest, chunk))
            size += len(chunk)
        await access.do(draft.goal, lambda _: files[0].close(), size)
    except BaseException:
        for file in files:
            with contextlib.suppress(Exception):
                await asyncio.shield(access.calls.do(draft.goal, partial(backend.abandon, file)))
        raise
    return _Written(size=size, sha256=digest.digest())


def _put(file: Any, digest: Any, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


async def _has_digest(access: FilesystemAccess, draft: PartialWrite, written: _Written) -> bool:
    return await access.do(
        draft.path, lambda full: access.backend.has_digest(full, written.sha256), written.size
    )


async def _place(
    access: FilesystemAccess, draft: PartialWrite, size: int, exists: IfExists
) -> None:
    """Move a draft to its name."""
    backend, replace = access.backend, exists is IfExists.REPLACE
    await access.do(
        draft.goal,
        lambda goal: backend.place(
            backend.full(draft.path), goal, replace=replace, keep_metadata=True
        ),
        size,
    )
