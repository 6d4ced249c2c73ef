"""Transfer of directory trees: small files several at a time, large ones one by one."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, Protocol

from fsspec import AbstractFileSystem

from nds_jupyter.data.irods.transfer import SerializedCallback

Pair = tuple[Any, Any]
"""A source and its target."""


class BulkTransferPlan(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Which file goes where: fsspec decides, and what it would move is noted here.

    Parameters
    ----------
    zone
        The filesystem that is asked what there is.
    """

    cachable = False
    root_marker = "/"

    def __init__(self, zone: AbstractFileSystem) -> None:
        super().__init__()
        self._zone = zone
        self._known: dict[str, dict[str, Any]] = {}
        self.pairs: list[Pair] = []

    def put_file(self, lpath: Any, rpath: Any, **kwargs: Any) -> None:
        """Note it."""
        self.pairs.append((lpath, rpath))

    def get_file(self, rpath: Any, lpath: Any, **kwargs: Any) -> None:
        """Note it."""
        self.pairs.append((rpath, lpath))

    def isdir(self, path: str) -> bool:
        """Tell whether a path is a collection; what was found is not asked for again."""
        found = self.found(path)
        return found["type"] == "directory" if found else bool(self._zone.isdir(path))

    def found(self, path: Any) -> dict[str, Any]:
        """Return what is known of a path; empty if it was not looked for."""
        return self._known.get(self._strip_protocol(path), {})

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """List everything below a collection, and remember what it is."""
        found = self._zone.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True, **kwargs)
        self._known.update(found)
        return found if detail else list(found)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a collection."""
        return list(self._zone.ls(path, detail=detail, **kwargs))

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe one path."""
        return dict(self._zone.info(path, **kwargs))

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is something."""
        return bool(self._zone.exists(path, **kwargs))

    def _strip_protocol(self, path: Any) -> Any:
        return self._zone._strip_protocol(path)


class TransferKind(enum.Enum):
    """How a file is moved, in this order."""

    FOLDER = "first, one by one"
    SMALL = "several at a time"
    LARGE = "by itself, over several connections"


class FileTransfer(Protocol):
    """Moves one file."""

    def __call__(self, source: Any, target: Any, *, callback: Any) -> None:
        """Move it, and tell the callback how far it is."""


def move(
    pairs: Sequence[Pair],
    act: FileTransfer,
    kind: Callable[[Pair], TransferKind],
    callback: Any,
    at_once: int,
) -> None:
    """Move files; the first error ends it, when what is under way has ended.

    Parameters
    ----------
    kind
        Tells how a file is moved.
    callback
        Is told of each file that is done, and gives each a callback of its own.
    at_once
        Small files at a time.
    """
    told = SerializedCallback(callback)
    told.set_size(len(pairs))

    def one(pair: Pair) -> None:
        with told.branched(*pair) as child:
            act(*pair, callback=child)
        told.relative_update(1)

    parts: dict[TransferKind, list[Pair]] = {each: [] for each in TransferKind}
    for pair in pairs:
        parts[kind(pair)].append(pair)
    for pair in parts[TransferKind.FOLDER]:
        one(pair)
    _several(one, parts[TransferKind.SMALL], at_once)
    for pair in parts[TransferKind.LARGE]:
        one(pair)


def _several(one: Callable[[Pair], None], pairs: Sequence[Pair], at_once: int) -> None:
    if len(pairs) < 2 or at_once < 2:
        for pair in pairs:
            one(pair)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="irods-tree") as pool:
        tasks = [pool.submit(one, pair) for pair in pairs]
        try:
            wait(tasks, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
