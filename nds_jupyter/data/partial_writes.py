"""Registry of partial writes, so that leftovers of a killed server can be removed.

A server that is killed leaves behind what it was writing, under a name that listings do not show.
The next server finds it in the record, and only there, so that it never touches what another
server is writing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from nds_jupyter.data.filesystem_access import FilesystemAccess
from nds_jupyter.errors import (
    Conflict,
    DataBusy,
    Forbidden,
    InvalidRequest,
    NdsError,
    NotOffered,
    PathNotFound,
)
from nds_jupyter.jobs.logical_paths import is_inside, join, parent_of

PERMANENT_ERRORS = (Conflict, Forbidden, InvalidRequest, NotOffered)
"""Errors of a removal that another attempt would meet again."""

CLEANUP_INTERVAL = 30.0
"""Seconds between two attempts to remove what could not be removed yet."""

MAX_CLEANUP_INTERVAL = 3600.0
"""Seconds between two attempts on what stays locked: only the zone's administrator can free it."""

_log = logging.getLogger(__name__)


def partial_path(collection: str) -> str:
    """Return an unused path in a collection for a partial write.

    No attempt takes the path of another: what a killed server was writing may stay locked.
    """
    return join(collection, f".nds-{secrets.token_hex(8)}.part")


def is_partial(name: str) -> bool:
    """Whether a name is that of an object that is still being written."""
    return name.startswith(".nds-") and name.endswith(".part")


class PartialWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One object or collection that is written under a temporary path.

    The names of its fields in JSON are those that journals of earlier versions have.

    Parameters
    ----------
    path
        The temporary path.
    target
        The path that it gets when it is complete.
    made
        The topmost of the collections that were made for it; empty if none was.
    """

    path: str
    target: str = msgspec.field(name="goal")
    made: str = ""


class PartialWriteRecord(Protocol):
    """Storage of the registry, which may outlive this process."""

    async def add(self, partial: PartialWrite) -> None:
        """Store one, in the place of another of its path."""

    async def remove(self, path: str) -> None:
        """Delete the one of a path."""

    async def partial_writes(self) -> list[PartialWrite]:
        """Return all of them."""


class InMemoryRecord:
    """Record that ends with the process."""

    def __init__(self) -> None:
        self._by_path: dict[str, PartialWrite] = {}

    async def add(self, partial: PartialWrite) -> None:
        """Store one, in the place of another of its path."""
        self._by_path[partial.path] = partial

    async def remove(self, path: str) -> None:
        """Delete the one of a path."""
        self._by_path.pop(path, None)

    async def partial_writes(self) -> list[PartialWrite]:
        """Return all of them."""
        return list(self._by_path.values())


class PartialWrites:
    """Registry of the partial writes of one data root.

    Parameters
    ----------
    access
        The data root.
    record
        Stores them; used by this process alone, and by those before it.
    """

    def __init__(self, access: FilesystemAccess, record: PartialWriteRecord) -> None:
        self._access = access
        self._record = record
        # The lock of a path is held by whoever writes there.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._being_written: set[str] = set()
        # When the removal of a path is tried again, and the seconds until then.
        self._retry_at: dict[str, tuple[float, float]] = {}

    @contextlib.asynccontextmanager
    async def registered(
        self, partial: PartialWrite, *, resumed: bool = False
    ) -> AsyncIterator[None]:
        """Register a partial write while it is written; remove it if that fails.

        Parameters
        ----------
        resumed
            Whether earlier attempts on the same target may have left something, which is removed
            first, and the collections above may have to be made.
        """
        async with self._writing(partial.path):
            if resumed:
                partial = await self._take_over(partial)
            await self._register(partial)
            try:
                yield
            except BaseException:
                await asyncio.shield(self._try_roll_back(partial))
                raise
            await self._unregister(partial)

    async def try_collection(self, partial: PartialWrite) -> None:
        """Make a partial collection and remove it, so that what forbids it is known early."""
        async with self._writing(partial.path):
            partial = await self._take_over(partial)
            await self._register(partial)
            try:
                await self._access.call(partial.target, lambda _: self._make(partial))
            finally:
                await asyncio.shield(self._try_roll_back(partial))

    @contextlib.asynccontextmanager
    async def _writing(self, path: str) -> AsyncIterator[None]:
        """Hold a path's lock for a writer, of whom others with the same target keep away."""
        async with self._lock(path):
            self._being_written.add(path)
            try:
                yield
            finally:
                self._being_written.discard(path)

    def _make(self, partial: PartialWrite) -> None:
        backend = self._access.backend
        backend.make_collection(backend.filesystem_path(partial.path))

    async def _take_over(self, partial: PartialWrite) -> PartialWrite:
        """Remove what earlier attempts on the target left; keep which collections they made."""
        made = ""
        for earlier in await self._record.partial_writes():
            if earlier.target != partial.target or earlier.path in self._being_written:
                continue
            async with self._lock(earlier.path):
                # The clean-up may just have removed it, with the collections that it made.
                if earlier in await self._record.partial_writes():
                    made = made or earlier.made
                    await self._try_roll_back(earlier, with_collections=False)
        made = made or await self.top_missing(parent_of(partial.path))
        return msgspec.structs.replace(partial, made=made)

    async def _register(self, partial: PartialWrite) -> None:
        # A full disk of the server is no reason to refuse what another disk can take.
        with contextlib.suppress(NdsError):
            await self._record.add(partial)

    async def remove_leftovers(self) -> int:
        """Remove what nobody writes any more, and return how many could not be removed yet."""
        remaining = 0
        for partial in await self._record.partial_writes():
            retry_at, _ = self._retry_at.get(partial.path, (0.0, 0.0))
            if time.monotonic() < retry_at or self._lock(partial.path).locked():
                continue
            async with self._lock(partial.path):
                # It may have been finished while this waited for others.
                recorded = partial in await self._record.partial_writes()
                if recorded and not await self._try_roll_back(partial):
                    remaining += 1
        return remaining

    async def top_missing(self, path: str) -> str:
        """Return the topmost of the collections that making `path` would make; empty if none."""
        top = ""
        while path != "/" and await self._access.find(path) is None:
            top, path = path, parent_of(path)
        return top

    async def remove_empty(self, path: str, top: str) -> None:
        """Remove a collection and those above it up to `top`, as long as they hold nothing."""
        while top and is_inside(path, top):
            try:
                await self._access.call(path, self._access.backend.remove_empty)
            except PathNotFound:
                pass
            except Conflict:
                return
            path = parent_of(path)

    def _lock(self, path: str) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())

    async def _try_roll_back(self, partial: PartialWrite, *, with_collections: bool = True) -> bool:
        """Roll back a partial write, and return whether it is gone; else it stays registered."""
        try:
            await self._roll_back(partial, with_collections=with_collections)
        except NdsError as exc:
            if isinstance(exc, DataBusy):
                self._postpone(partial, exc)
                return False
            if isinstance(exc, PERMANENT_ERRORS):
                self._retry_at[partial.path] = (math.inf, math.inf)
            _log.warning("%s stays behind in the data root: %s", partial.path, exc)
            return False
        except Exception:  # noqa: BLE001 - the error that made it roll back must not be hidden
            self._retry_at[partial.path] = (math.inf, math.inf)
            _log.exception("%s stays behind in the data root.", partial.path)
            return False
        self._retry_at.pop(partial.path, None)
        await self._unregister(partial)
        return True

    def _postpone(self, partial: PartialWrite, exc: NdsError) -> None:
        """Try the removal of something locked ever later, and say so once."""
        _, interval = self._retry_at.get(partial.path, (0.0, 0.0))
        if not interval:
            _log.warning(
                "%s stays behind in the data root: %s If a killed server was writing it, only an "
                "administrator of the zone can unlock it (docs/irods.md).",
                partial.path,
                exc,
            )
        interval = min(2 * interval or CLEANUP_INTERVAL, MAX_CLEANUP_INTERVAL)
        self._retry_at[partial.path] = (time.monotonic() + interval, interval)

    async def _roll_back(self, partial: PartialWrite, *, with_collections: bool) -> None:
        backend = self._access.backend
        await self._access.call(
            partial.path,
            lambda fs_path: backend.roll_back(fs_path, backend.filesystem_path(partial.target)),
        )
        if with_collections:
            await self.remove_empty(parent_of(partial.path), partial.made)

    async def _unregister(self, partial: PartialWrite) -> None:
        # What stays in the record is looked for once more by the next server, and not found.
        with contextlib.suppress(NdsError):
            await self._record.remove(partial.path)
