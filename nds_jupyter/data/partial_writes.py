"""Registry of partial writes, so that leftovers of a killed server can be removed.

A server that is killed leaves behind what it was writing, under a name that listings do not show.
The next one finds it in the record, and there alone, so that nothing of another server is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

import msgspec

from nds_jupyter.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NdsError,
    NotOffered,
    PathNotFound,
)
from nds_jupyter.jobs.logical_paths import is_inside, join, parent_of

if TYPE_CHECKING:
    from nds_jupyter.data.filesystem_access import FilesystemAccess

REFUSED = (Conflict, Forbidden, InvalidRequest, NotOffered)
"""Answers that will be the same the next time."""

TIDY_EVERY = 30.0
"""Seconds between two looks at what could not be removed yet."""

_log = logging.getLogger(__name__)


def draft_in(collection: str, name: str = "") -> str:
    """Return the path of a draft.

    Parameters
    ----------
    name
        Tells it from others; random if empty.
    """
    return join(collection, f".nds-{name or secrets.token_hex(8)}.part")


def is_draft(name: str) -> bool:
    """Whether a name is that of an object that is still being written."""
    return name.startswith(".nds-") and name.endswith(".part")


class PartialWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One object or collection on its way to its name.

    Parameters
    ----------
    path
        Where it is written.
    goal
        What it will be.
    made
        The topmost of the collections that were made for it; empty if none was.
    """

    path: str
    goal: str
    made: str = ""


class PartialWriteRecord(Protocol):
    """Remembers drafts, if it can beyond the life of this process."""

    async def add(self, draft: PartialWrite) -> None:
        """Remember one, in the place of another of its path."""

    async def remove(self, path: str) -> None:
        """Forget one."""

    async def drafts(self) -> list[PartialWrite]:
        """Return all of them."""


class InMemoryRecord:
    """A record that ends with the process."""

    def __init__(self) -> None:
        self._drafts: dict[str, PartialWrite] = {}

    async def add(self, draft: PartialWrite) -> None:
        """Remember one."""
        self._drafts[draft.path] = draft

    async def remove(self, path: str) -> None:
        """Forget one."""
        self._drafts.pop(path, None)

    async def drafts(self) -> list[PartialWrite]:
        """Return all of them."""
        return list(self._drafts.values())


class PartialWrites:
    """The drafts of one data root.

    Parameters
    ----------
    access
        The data root.
    record
        Of this process alone, and of those before it.
    """

    def __init__(self, access: FilesystemAccess, record: PartialWriteRecord) -> None:
        self._access = access
        self._record = record
        # Whoever holds one works on the draft of that path.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._left_alone: set[str] = set()

    @contextlib.asynccontextmanager
    async def held(self, draft: PartialWrite, *, resumed: bool = False) -> AsyncIterator[None]:
        """Keep a draft on record while it is written; remove it if that fails.

        Parameters
        ----------
        resumed
            Whether an earlier attempt may have left something under this path, which goes first,
            and the collections above may have to be made.
        """
        async with self._lock(draft.path):
            if resumed:
                draft = await self._taken_over(draft)
            await self._note(draft)
            try:
                yield
            except BaseException:
                await asyncio.shield(self._undone(draft))
                raise
            await self._forget(draft)

    async def rehearse(self, draft: PartialWrite) -> None:
        """Make a draft that is a collection, and remove it: what forbids that is known early."""
        async with self._lock(draft.path):
            draft = await self._taken_over(draft)
            await self._note(draft)
            try:
                await self._access.do(draft.goal, lambda _: self._make(draft))
            finally:
                await asyncio.shield(self._undone(draft))

    def _make(self, draft: PartialWrite) -> None:
        backend = self._access.backend
        backend.make(backend.full(draft.path))

    async def _taken_over(self, draft: PartialWrite) -> PartialWrite:
        earlier = [each for each in await self._record.drafts() if each.path == draft.path]
        await self._undo(draft, with_made=False)
        made = earlier[0].made if earlier else ""
        made = made or await self.top_missing(parent_of(draft.path))
        return msgspec.structs.replace(draft, made=made)

    async def _note(self, draft: PartialWrite) -> None:
        # A full disk of the server is no reason to refuse what another disk can take.
        with contextlib.suppress(NdsError):
            await self._record.add(draft)

    async def tidy(self) -> int:
        """Remove what nobody writes any more, and return how many could not be removed yet."""
        left = 0
        for draft in await self._record.drafts():
            if draft.path in self._left_alone or self._lock(draft.path).locked():
                continue
            async with self._lock(draft.path):
                # It may have been finished while this waited for others.
                if draft in await self._record.drafts() and not await self._undone(draft):
                    left += 1
        return left

    async def keep_tidy(self) -> None:
        """Tidy now, and again for as long as this is not cancelled: the root may be away."""
        while True:
            try:
                await self.tidy()
            except Exception:  # noqa: BLE001 - it is logged, and tried again
                _log.exception("What is left in the data root can't be looked for.")
            await asyncio.sleep(TIDY_EVERY)

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
                await self._access.do(path, self._access.backend.remove_empty)
            except PathNotFound:
                pass
            except Conflict:
                return
            path = parent_of(path)

    def _lock(self, path: str) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())

    async def _undone(self, draft: PartialWrite) -> bool:
        """Undo a draft, and tell whether it is gone; otherwise it stays on record."""
        try:
            await self._undo(draft, with_made=True)
        except NdsError as exc:
            if isinstance(exc, REFUSED):
                self._left_alone.add(draft.path)
            _log.warning("%s stays behind in the data root: %s", draft.path, exc)
            return False
        except Exception:  # noqa: BLE001 - what failed before is what has to be told
            self._left_alone.add(draft.path)
            _log.exception("%s stays behind in the data root.", draft.path)
            return False
        await self._forget(draft)
        return True

    async def _undo(self, draft: PartialWrite, *, with_made: bool) -> None:
        backend = self._access.backend
        await self._access.do(draft.path, lambda full: backend.undo(full, backend.full(draft.goal)))
        if with_made:
            await self.remove_empty(parent_of(draft.path), draft.made)

    async def _forget(self, draft: PartialWrite) -> None:
        # What can't be forgotten is looked for once more by the next server, and not found.
        with contextlib.suppress(NdsError):
            await self._record.remove(draft.path)
