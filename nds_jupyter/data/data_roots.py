"""Data roots of owners, each opened with the account that `DataIdentity` says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_identity import DataIdentity, ServerIdentity
from nds_jupyter.data.data_root import DataRoot, UnusableBackend
from nds_jupyter.data.filesystem_access import ThreadCalls
from nds_jupyter.data.partial_writes import (
    CLEANUP_INTERVAL,
    InMemoryRecord,
    PartialWriteRecord,
)
from nds_jupyter.errors import DataLoginRequired, Forbidden, NdsError

_log = logging.getLogger(__name__)


class PartialWriteRecords(Protocol):
    """Records of partial writes, one for each key of a `DataIdentity`."""

    def for_key(self, key: str) -> PartialWriteRecord:
        """Return one."""

    async def keys(self) -> list[str]:
        """Return the keys whose record holds any."""


class InMemoryRecords:
    """Records that end with the process."""

    def __init__(self) -> None:
        self._by_key: dict[str, InMemoryRecord] = {}

    def for_key(self, key: str) -> PartialWriteRecord:
        """Return one."""
        return self._by_key.setdefault(key, InMemoryRecord())

    async def keys(self) -> list[str]:
        """Return the keys of all."""
        return list(self._by_key)


class DataRootSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of data roots.

    Parameters
    ----------
    threads
        Calls at one time, of all owners together.
    deadline
        Seconds for a call.
    retries
        How often a dropped connection is resumed in one read.
    max_owners
        Owners whose connections are kept open while they are idle.
    max_idle
        Seconds after which the idle connections of an owner are closed.
    url_head
        What the URLs of the server's routes begin with, without a slash at the end.
    """

    threads: int = 8
    deadline: float = 30.0
    retries: int = 3
    max_owners: int = 32
    max_idle: float = 240.0
    url_head: str = ""


class DataRoots:
    """The data root of each owner: the one place that decides whose account is used.

    Parameters
    ----------
    identity
        Opens them.
    records
        Store which writes are under way; None: in memory.
    """

    def __init__(
        self,
        identity: DataIdentity,
        settings: DataRootSettings | None = None,
        records: PartialWriteRecords | None = None,
    ) -> None:
        self._identity = identity
        self._settings = settings or DataRootSettings()
        self._records = records or InMemoryRecords()
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="nds-data")
        # A job may hold a root that is not kept here any more. It must be found again: there may be
        # one root of an owner only, since its registry knows what is being written.
        self._roots: WeakValueDictionary[str, DataRoot] = WeakValueDictionary()
        self._kept: OrderedDict[str, DataRoot] = OrderedDict()
        self._login_ids: WeakKeyDictionary[DataRoot, str] = WeakKeyDictionary()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._not_cleaned: set[str] = set()

    @classmethod
    def of_one(cls, root: DataRoot) -> Self:
        """Return the roots of owners who share one that is there already."""
        roots = cls(ServerIdentity(""))
        roots._keep("", root, "")
        return roots

    @property
    def retries(self) -> int:
        """How often what a data root interrupts is tried again."""
        return self._settings.retries

    async def for_owner(self, owner: str) -> DataRoot:
        """Return the data root of an owner.

        Raises
        ------
        DataLoginRequired
            If the owner must log in to it first.
        Forbidden
            If the owner has no account in it.
        """
        return await self._for_key(self._identity.key(owner))

    async def _for_key(self, key: str) -> DataRoot:
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            login_id = self._identity.login_id(key)
            root = self._roots.get(key)
            if root is None:
                root = await self._open(key)
            elif self._login_ids[root] != login_id:
                # Whoever uses the root goes on with the new account.
                await self._replace_backend(root, await self._open_backend(key))
            self._keep(key, root, login_id)
            return root

    async def _open(self, key: str) -> DataRoot:
        return DataRoot(
            await self._open_backend(key),
            deadline=self._settings.deadline,
            retries=self._settings.retries,
            record=self._records.for_key(key),
            pool=self._pool,
            url_head=self._settings.url_head,
        )

    async def _open_backend(self, key: str) -> Backend:
        calls = ThreadCalls(self._pool, self._settings.deadline)
        backend = await calls.run("/", lambda: self._identity.open(key))
        if self._identity.has_folders:
            calls = ThreadCalls(self._pool, self._settings.deadline, backend.map_error)
            await calls.run("/", backend.make_root)
        return backend

    def _keep(self, key: str, root: DataRoot, login_id: str) -> None:
        self._roots[key] = root
        self._login_ids[root] = login_id
        self._kept[key] = root
        self._kept.move_to_end(key)
        while len(self._kept) > self._settings.max_owners:
            _, oldest = self._kept.popitem(last=False)
            self._pool.submit(oldest.backend.close_idle)

    async def revoke(self, owner: str) -> None:
        """Take the account from whoever still uses an owner's root."""
        ended = DataLoginRequired("The login to the data root has ended. Run %ndslogin.")
        await self._revoke(self._identity.key(owner), ended)

    async def _revoke(self, key: str, error: NdsError) -> None:
        # Whoever opens the root with the account at this moment comes first.
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            root = self._roots.get(key)
            if root is not None and not isinstance(root.backend, RevokedBackend):
                self._login_ids[root] = ""
                await self._replace_backend(root, RevokedBackend(error))

    async def _replace_backend(self, root: DataRoot, backend: Backend) -> None:
        before, root.backend = root.backend, backend
        await self._run_in_pool(before.close_idle)

    async def _run_in_pool(self, function: Callable[[], None]) -> None:
        await asyncio.wrap_future(self._pool.submit(function))

    async def start(self) -> None:
        """Make the root that all owners share, if it is not there."""
        if not self._identity.key("any owner"):
            await (await self._for_key("")).prepare()

    async def maintain(self) -> None:
        """Close idle connections and remove what interrupted writes left, until cancelled."""
        while True:
            try:
                await self.close_idle()
                await self.remove_leftovers()
            except Exception:  # noqa: BLE001 - it is logged, and tried again
                _log.exception("What is left in the data root can't be looked for.")
            await asyncio.sleep(min(CLEANUP_INTERVAL, self._settings.max_idle / 2))

    async def close_idle(self) -> None:
        """Close the connections of owners who have not used theirs for a while."""
        oldest = time.monotonic() - self._settings.max_idle
        for key, root in list(self._roots.items()):
            try:
                self._identity.login_id(key)
            except (DataLoginRequired, Forbidden) as exc:
                await self._revoke(key, exc)
            if root.calls.last_used < oldest:
                await self._run_in_pool(root.backend.close_idle)

    async def remove_leftovers(self) -> int:
        """Remove what nobody writes any more, and return how many could not be removed yet."""
        remaining = 0
        for key in await self._records.keys():
            try:
                root = await self._for_key(key)
            except DataLoginRequired:
                # It waits for its owner.
                continue
            except NdsError as exc:
                if key not in self._not_cleaned:
                    self._not_cleaned.add(key)
                    _log.warning("What is left in the data root of %s stays there: %s", key, exc)
                continue
            self._not_cleaned.discard(key)
            remaining += await root.partial_writes.remove_leftovers()
        return remaining

    async def close(self) -> None:
        """Close the connections, and free the threads."""
        for root in list(self._roots.values()):
            self._pool.submit(root.backend.close_idle)
        await asyncio.to_thread(self._pool.shutdown, wait=True)


class RevokedBackend(UnusableBackend):
    """Backend of an owner who has no account any more: logged out, for example.

    Parameters
    ----------
    error
        What every use of it raises.
    """

    def __init__(self, error: NdsError) -> None:
        super().__init__(error.message, type(error))
