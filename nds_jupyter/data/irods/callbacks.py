"""Callbacks of fsspec, told from many threads: they are made for one."""

from __future__ import annotations

import threading
from typing import Any

from fsspec.callbacks import Callback


class Progress:
    """Tells a callback how far one file is that several threads move."""

    def __init__(self, callback: Any, size: int) -> None:
        self._callback = callback
        self.size = size
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Begin at nothing."""
        self._callback.set_size(self.size)
        self._callback.absolute_update(0)

    def add(self, count: int) -> None:
        """Count bytes."""
        with self._lock:
            self._callback.relative_update(count)


class OneAtATime(Callback):  # type: ignore[misc]  # fsspec has no types
    """Passes on what is told, also to branches of it, while nobody else is in there.

    Parameters
    ----------
    told
        The callback that is told.
    lock
        Of the callback that this is a branch of.
    """

    def __init__(self, told: Any, lock: threading.Lock | None = None) -> None:
        super().__init__()
        self._told = told
        self._lock = lock or threading.Lock()

    def set_size(self, size: int | None) -> None:
        """Pass on how much there is."""
        with self._lock:
            self._told.set_size(size)

    def absolute_update(self, value: int) -> None:
        """Pass on how far it is."""
        with self._lock:
            self._told.absolute_update(value)

    def relative_update(self, inc: int = 1) -> None:
        """Pass on how much further it is."""
        with self._lock:
            self._told.relative_update(inc)

    def call(self, hook_name: str | None = None, **kwargs: Any) -> Any:
        """Call the hooks."""
        with self._lock:
            return self._told.call(hook_name, **kwargs)

    def branched(self, path_1: Any, path_2: Any, **kwargs: Any) -> OneAtATime:
        """Return the callback of one file."""
        with self._lock:
            return OneAtATime(self._told.branched(path_1, path_2, **kwargs), self._lock)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._told.close()
