"""Access to the data root's filesystem: logical paths, a thread pool, deadlines, mapped errors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.partial_writes import InMemoryRecord, PartialWriteRecord, PartialWrites
from nds_jupyter.errors import (
    Conflict,
    DataError,
    DataRootFull,
    DataUnavailable,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    NdsError,
    NotOffered,
    PathNotFound,
)
from nds_jupyter.jobs.logical_paths import name_of

T = TypeVar("T")

SETTLE = 10.0
"""Seconds for which a call that nobody wants any more may hold up what comes after it."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_AWAY = frozenset({errno.EIO, errno.ESTALE, errno.EPIPE, errno.ENETUNREACH, errno.EHOSTUNREACH})


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn whatever a filesystem raises into our errors.

    Parameters
    ----------
    path
        In the data root; the filesystem's own path may tell where the server keeps its files.
    """
    try:
        yield
    except FileNotFoundError as exc:
        raise PathNotFound(f"There is no {path} in the data root.") from exc
    except PermissionError as exc:
        raise Forbidden(
            f"{path}: the account of the data root has no permission for that. Ask the owner of "
            "the data for it."
        ) from exc
    except FileExistsError as exc:
        raise Conflict(f"{path} exists in the data root.") from exc
    except IsADirectoryError as exc:
        raise Conflict(f"{path} is a collection, not a data object.") from exc
    except NotADirectoryError as exc:
        raise Conflict(f"{path}: a data object stands where a collection is needed.") from exc
    except TimeoutError as exc:
        raise DeadlineExceeded(f"{path}: the data root has not answered in time.") from exc
    except (ConnectionError, EOFError) as exc:
        raise DataUnavailable(f"{path}: the data root does not answer. Is it running?") from exc
    except NotImplementedError as exc:
        raise NotOffered(f"{path}: this kind of data root does not do that.") from exc
    except OSError as exc:
        raise _of_os(exc, path) from exc


def _of_os(exc: OSError, path: str) -> Exception:
    if exc.errno in _FULL:
        return DataRootFull(f"{path}: the data root is full. Free space there.")
    if exc.errno == errno.ENAMETOOLONG:
        return InvalidRequest(f"{path[:60]}…: the name is too long for this data root.")
    if exc.errno in _AWAY:
        return DataUnavailable(f"{path}: the data root does not answer ({exc.strerror}).")
    if exc.errno == errno.ENOTEMPTY:
        return Conflict(f"{path} is not empty.")
    return DataError(f"{path}: the data root failed ({exc.strerror or type(exc).__name__}).")


class ThreadCalls:
    """A bounded pool of threads for one data root.

    Parameters
    ----------
    threads
        Calls at one time; more wait.
    deadline
        Seconds for a call, waiting included.
    foreign
        Gives our error for one of the filesystem's own classes, or None.
    """

    def __init__(
        self,
        threads: int,
        deadline: float,
        foreign: Callable[[OSError], NdsError | None] = lambda _: None,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nds-data")
        self._deadline = deadline
        self._foreign = foreign

    async def do(self, path: str, call: Callable[[], T], deadline: float | None = None) -> T:
        """Carry out a call about a path in a thread.

        Raises
        ------
        DeadlineExceeded
            If it takes too long. Its thread is free again only when the filesystem gives up.
        """

        def work() -> T:
            with translated(path):
                try:
                    return call()
                except OSError as exc:
                    if (ours := self._foreign(exc)) is not None:
                        raise ours from exc
                    raise

        queued = self._pool.submit(work)
        called = asyncio.wrap_future(queued)
        # An error that comes when nobody waits any more is nobody's.
        called.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                return await asyncio.shield(called)
        except TimeoutError as exc:
            queued.cancel()
            raise DeadlineExceeded(f"{path}: the data root has not answered in time.") from exc
        except asyncio.CancelledError:
            # Who gives up tidies up next, which must not meet a call that still works on it.
            if not queued.cancel():
                await asyncio.wait({called}, timeout=SETTLE)
            raise

    async def close(self) -> None:
        """Wait for what is under way, and free the threads."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


SLOWEST = 5 * 2**20
"""Bytes a second at which a whole object is read, checked or finished at the worst."""


class FilesystemAccess:
    """One data root's filesystem, and the threads that talk to it.

    Parameters
    ----------
    backend
        The filesystem, and the folder in it.
    threads
        Calls at one time.
    deadline
        Seconds for a call.
    retries
        How often a dropped connection is taken up again in one read.
    record
        Remembers what is being written; None: as long as this lives.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        threads: int = 8,
        deadline: float = 30.0,
        retries: int = 3,
        record: PartialWriteRecord | None = None,
    ) -> None:
        self.backend = backend
        self.calls = ThreadCalls(threads, deadline, backend.foreign)
        self.deadline = deadline
        self.retries = retries
        self.drafts = PartialWrites(self, record or InMemoryRecord())

    async def do(self, path: str, call: Callable[[str], T], size: int = 0) -> T:
        """Call something with the filesystem's path of a path of the root.

        Parameters
        ----------
        size
            Bytes that the call moves or reads, for which it is given time.
        """
        deadline = self.deadline + size / SLOWEST
        return await self.calls.do(path, lambda: call(self.backend.full(path)), deadline)

    async def entry(self, path: str) -> Entry:
        """Describe one path."""
        found = await self.do(path, self.backend.entry)
        return msgspec.structs.replace(found, path=path, name=name_of(path))

    async def find(self, path: str) -> Entry | None:
        """Describe one path; None if there is nothing."""
        try:
            return await self.entry(path)
        except PathNotFound:
            return None
