"""Writes objects of a data root so that an interrupted write leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hashlib
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec

from nds_jupyter.data.access import Access
from nds_jupyter.data.entries import Entry
from nds_jupyter.datapaths import join, parent_of
from nds_jupyter.errors import Conflict, DataError

DRAFT = ".nds-{}.part"
"""The name of what is being written, in the collection where it is to be."""


def is_draft(name: str) -> bool:
    """Whether a name is that of an object that is still being written."""
    return name.startswith(".nds-") and name.endswith(".part")


class Exists(enum.Enum):
    """What a write does where an object has the name already."""

    REFUSE = "refuse"
    REPLACE = "replace"
    KEEP_IF_SAME = "keep if same"


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    size: int
    sha256: bytes


async def write(
    access: Access, path: str, chunks: AsyncIterator[bytes], *, exists: Exists = Exists.REFUSE
) -> Entry:
    """Write an object: under another name, verified, then moved to its own.

    Until then what has the name stays as it is; of an interrupted write nothing is left.

    Raises
    ------
    Conflict
        If the name is taken by a collection, or by an object that `exists` protects.
    PathNotFound
        If its collection is not there.
    """
    await _expect_writable(access, path, exists)
    draft = join(parent_of(path), DRAFT.format(secrets.token_hex(8)))
    try:
        written = await _write_draft(access, draft, chunks)
        if not await _is_stored(access, draft, written):
            raise DataError(f"{path}: what was stored differs from what was sent. Try again.")
        await place(access, written, path, exists)
    except BaseException:
        with contextlib.suppress(Exception):
            await asyncio.shield(access.do(draft, access.backend.discard))
        raise
    return await access.entry(path)


async def _expect_writable(access: Access, path: str, exists: Exists) -> None:
    there = await access.find(path)
    if there is not None and there.is_collection:
        raise Conflict(f"{path} is a collection; an object can't take its place.")
    if there is not None and exists is Exists.REFUSE:
        raise Conflict(f"{path} exists in the data root.")
    if there is None:
        await expect_collection(access, parent_of(path))


async def expect_collection(access: Access, path: str) -> None:
    """Raise Conflict if a path is an object, PathNotFound if it is nothing."""
    if not (await access.entry(path)).is_collection:
        raise Conflict(f"{path} is a data object, and can hold nothing.")


async def _write_draft(access: Access, draft: str, chunks: AsyncIterator[bytes]) -> _Written:
    # In a list, since a write that is given up while it opens has a file all the same.
    files: list[Any] = []
    digest = hashlib.sha256()
    size = 0
    try:
        await access.do(draft, lambda full: files.append(access.backend.open_write(full)))
        async for chunk in chunks:
            await access.calls.do(draft, partial(_put, files[0], digest, chunk))
            size += len(chunk)
        await access.do(draft, lambda _: files[0].close(), size)
    except BaseException:
        for file in files:
            with contextlib.suppress(Exception):
                await asyncio.shield(access.calls.do(draft, partial(access.backend.abandon, file)))
        raise
    return _Written(path=draft, size=size, sha256=digest.digest())


def _put(file: Any, digest: Any, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


async def _is_stored(access: Access, path: str, written: _Written) -> bool:
    """Whether a path holds what was written, by size and then by checksum."""
    if (await access.entry(path)).size != written.size:
        return False
    return await access.do(
        path, lambda full: access.backend.has_digest(full, written.sha256), written.size
    )


async def place(access: Access, written: _Written, path: str, exists: Exists) -> None:
    """Move what was written to its name."""
    source = await access.do(written.path, lambda full: full)
    replace = exists is Exists.REPLACE
    try:
        await access.do(
            path, lambda full: access.backend.place(source, full, replace=replace), written.size
        )
    except Conflict:
        if exists is not Exists.KEEP_IF_SAME or not await _is_stored(access, path, written):
            raise
        await access.do(written.path, access.backend.discard)
