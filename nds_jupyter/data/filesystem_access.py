"""Access to the data root's filesystem: logical paths, a thread pool, deadlines, mapped errors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.unicode_forms import find_other_form, has_other_form, look_alike
from nds_jupyter.errors import (
    Conflict,
    DataBusy,
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

CANCEL_GRACE = 10.0
"""Seconds for which a cancelled call that still runs may delay what comes after it."""

MIN_THROUGHPUT = 5 * 2**20
"""Bytes a second at which a whole object is read, checked or finished at the worst."""

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNREACHABLE = frozenset(
    {errno.EIO, errno.ESTALE, errno.EPIPE, errno.ENETUNREACH, errno.EHOSTUNREACH}
)


class FilesystemAccess:
    """Asynchronous access to a backend by paths of the data root.

    Parameters
    ----------
    backend
        The filesystem, and the folder in it.
    threads
        Calls at one time.
    deadline
        Seconds for a call.
    retries
        How often a dropped connection is resumed in one read.
    pool
        Threads that are shared with other roots, in the place of own ones.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        threads: int = 8,
        deadline: float = 30.0,
        retries: int = 3,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        self.backend = backend
        # The backend is asked anew for each error: it is another one after a new login.
        self.calls = ThreadCalls(pool or threads, deadline, lambda exc: self.backend.map_error(exc))
        self.deadline = deadline
        self.retries = retries

    async def call(self, path: str, function: Callable[[str], T], size: int = 0) -> T:
        """Call a function in a thread with the filesystem's path of a path of the root.

        Parameters
        ----------
        size
            Bytes that the call moves or reads; they extend its deadline.
        """
        deadline = self.deadline + size / MIN_THROUGHPUT
        return await self.calls.run(
            path, lambda: function(self.backend.filesystem_path(path)), deadline
        )

    async def entry(self, path: str) -> Entry:
        """Describe one path; where nothing is there, the one that looks the same."""
        described = await self.call(path, self._described)
        actual = "/" + "/".join(described.path.split("/")[-path.count("/") :])
        if look_alike(path, actual):
            path = actual
        return msgspec.structs.replace(described, path=path, name=name_of(path))

    def _described(self, fs_path: str) -> Entry:
        try:
            return self.backend.entry(fs_path)
        except FileNotFoundError:
            other = find_other_form(fs_path, self._find_exactly)
            if other is None:
                raise
            return other[1]

    def _find_exactly(self, fs_path: str) -> Entry | None:
        try:
            return self.backend.entry(fs_path)
        except FileNotFoundError:
            return None

    async def expect_no_look_alike(self, path: str) -> None:
        """Raise `Conflict` if a path is about to be made beside one that looks the same."""
        if not has_other_form(path):
            return
        entry = await self.find(path)
        if entry is not None and entry.path != path:
            raise Conflict(
                f"{path}: there is {entry.path!a} in the data root, which looks the same (the "
                "other Unicode form). Use that one, or rename it."
            )

    async def find(self, path: str) -> Entry | None:
        """Describe one path; None if there is nothing."""
        try:
            return await self.entry(path)
        except PathNotFound:
            return None


class ThreadCalls:
    """Blocking calls of one data root, in a bounded pool of threads.

    Parameters
    ----------
    threads
        Calls at one time, for which more wait; or a pool, which its owner shuts down.
    deadline
        Seconds for a call, waiting included.
    map_error
        Gives our error for one of the filesystem's own classes, or None.

    Attributes
    ----------
    last_used
        When the last call began or ended, on the monotonic clock.
    """

    def __init__(
        self,
        threads: int | ThreadPoolExecutor,
        deadline: float,
        map_error: Callable[[OSError], NdsError | None] = lambda _: None,
    ) -> None:
        self._owned = isinstance(threads, int)
        self._pool = (
            ThreadPoolExecutor(threads, thread_name_prefix="nds-data")
            if isinstance(threads, int)
            else threads
        )
        self.last_used = time.monotonic()
        self._deadline = deadline
        self._map_error = map_error

    async def run(self, path: str, function: Callable[[], T], deadline: float | None = None) -> T:
        """Run a function about a path in a thread.

        Raises
        ------
        DeadlineExceeded
            If it takes too long. Its thread is free again only when the filesystem gives up.
        """

        def call() -> T:
            with mapped_errors(path):
                self.last_used = time.monotonic()
                try:
                    return function()
                except OSError as exc:
                    if (mapped := self._map_error(exc)) is not None:
                        raise mapped from exc
                    raise
                finally:
                    self.last_used = time.monotonic()

        submitted = self._pool.submit(call)
        future = asyncio.wrap_future(submitted)
        # An error that comes when nobody awaits the call any more must not be logged as unhandled.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                return await asyncio.shield(future)
        except TimeoutError as exc:
            submitted.cancel()
            raise DeadlineExceeded(f"{path}: the data root has not answered in time.") from exc
        except asyncio.CancelledError:
            # Whoever cancels cleans up next, which must not meet a call that still works on it.
            if not submitted.cancel():
                await asyncio.wait({future}, timeout=CANCEL_GRACE)
            raise

    async def close(self) -> None:
        """Wait for running calls, and free the threads, unless others share them."""
        if self._owned:
            await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


@contextlib.contextmanager
def mapped_errors(path: str) -> Iterator[None]:
    """Turn whatever a filesystem raises into our errors.

    Parameters
    ----------
    path
        In the data root; the filesystem's own path may reveal where the server keeps its files.
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
        raise _map_errno(exc, path) from exc


def _map_errno(exc: OSError, path: str) -> Exception:
    if exc.errno in _DISK_FULL:
        return DataRootFull(f"{path}: the data root is full. Free space there.")
    if exc.errno == errno.ENAMETOOLONG:
        return InvalidRequest(f"{path[:60]}…: the name is too long for this data root.")
    if exc.errno in _UNREACHABLE:
        return DataUnavailable(f"{path}: the data root does not answer ({exc.strerror}).")
    if exc.errno == errno.EBUSY:
        return DataBusy(f"{path} is being written by somebody else. Try again when that is done.")
    if exc.errno == errno.E2BIG:
        return InvalidRequest(f"{path}: the data root does not take that ({exc.strerror}).")
    if exc.errno == errno.ENOTEMPTY:
        return Conflict(f"{path} is not empty.")
    return DataError(f"{path}: the data root failed ({exc.strerror or type(exc).__name__}).")
