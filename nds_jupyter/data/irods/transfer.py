"""Upload and download of whole files, large ones over several connections."""

from __future__ import annotations

import enum
import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from fsspec import AbstractFileSystem
from fsspec.callbacks import Callback
from irods import keywords as kw
from irods.exception import NetworkException

from nds_jupyter.data.irods.atomic_replace import (
    BLOCK,
    FIRST_BLOCK,
    TEMPORARY_PREFIX,
    AtomicReplace,
    temporary_path,
)
from nds_jupyter.data.irods.checksums import Digest, scheme_of
from nds_jupyter.data.irods.descriptors import Descriptor
from nds_jupyter.data.irods.errors import ChecksumMismatch, ZoneUnavailable, mapped_errors
from nds_jupyter.data.irods.objects import ObjectOperations


class TransferProgress:
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


T = TypeVar("T")

Move = Callable[[Descriptor, int, int], None]


class TransferStreams(msgspec.Struct, frozen=True, kw_only=True):
    """How large files are moved.

    Parameters
    ----------
    most
        Connections for one file.
    large
        Bytes from which on more than one is used.
    files
        Files that are moved at one time, as long as they are not large.
    verify_downloads
        Whether what arrives is compared with the registered checksum.
    """

    most: int = 4
    large: int = 64 * 2**20
    files: int = 8
    verify_downloads: bool = False

    def of(self, size: int) -> int:
        """Return the connections for a file of a size."""
        return self.most if size >= self.large else 1


def upload(
    atomic_replace: AtomicReplace,
    streams: TransferStreams,
    local: Path,
    path: str,
    callback: Any,
    *,
    replace: bool,
) -> None:
    """Store a large local file over several connections."""
    progress = TransferProgress(callback, local.stat().st_size)

    def attempt() -> None:
        # Of a broken attempt the server may not let go at once: each has a name of its own.
        temporary = temporary_path(path)
        try:
            digest = _upload(atomic_replace, streams.most, local, temporary, path, progress)
            atomic_replace.verify(temporary, digest, progress.size, final_path=path)
            atomic_replace.move_into_place(temporary, path, replace=replace)
        except BaseException:
            atomic_replace.objects.remove_quietly(temporary)
            raise

    _repeated(atomic_replace.objects, attempt)


def _upload(
    atomic_replace: AtomicReplace,
    streams: int,
    local: Path,
    temporary: str,
    path: str,
    progress: TransferProgress,
) -> Digest:
    progress.restart()
    size, objects = progress.size, atomic_replace.objects
    first = objects.create(temporary, final_path=path, size=size, streams=streams)
    digest = atomic_replace.schemes.digest()
    with mapped_errors(path), first, local.open("rb") as source:
        options = {
            kw.NUM_THREADS_KW: str(streams),
            kw.DATA_SIZE_KW: str(size),
            **first.replica_options(),
        }

        def send(descriptor: Descriptor, offset: int, count: int) -> None:
            descriptor.write(os.pread(source.fileno(), count, offset))
            progress.add(count)

        def another() -> Descriptor:
            return objects.open_parallel(temporary, final_path=path, size=size, options=options)

        hashing = threading.Thread(target=_hash, args=(local, digest), daemon=True)
        hashing.start()
        _move_ranges(size, streams, first, another, send)
        hashing.join()
    return digest


def _hash(local: Path, digest: Digest) -> None:
    with local.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)


def download(
    objects: ObjectOperations, streams: TransferStreams, path: str, local: Path, callback: Any
) -> None:
    """Fetch an object into a local file, which appears when it is whole."""
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part")
    try:
        _repeated(objects, lambda: _download(objects, streams, path, part, callback))
        if streams.verify_downloads:
            _check(part, path, objects.checksum(path))
        part.replace(local)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _download(
    objects: ObjectOperations, streams: TransferStreams, path: str, part: Path, callback: Any
) -> None:
    with mapped_errors(path), objects.open(path) as first, part.open("wb") as target:
        block = first.read(FIRST_BLOCK)
        if len(block) < FIRST_BLOCK:
            # That was all of it: most files are small.
            progress = TransferProgress(callback, len(block))
            progress.restart()
            target.write(block)
            progress.add(len(block))
            return
        size = first.seek(0, 2)
        progress = TransferProgress(callback, size)
        progress.restart()

        def fetch(descriptor: Descriptor, offset: int, count: int) -> None:
            block = descriptor.read(count)
            if len(block) != count:
                raise ZoneUnavailable(
                    errno.EIO, f"{path} became shorter while it was read. Try again"
                )
            os.pwrite(target.fileno(), block, offset)
            progress.add(count)

        _move_ranges(size, streams.of(size), first, lambda: objects.open(path), fetch)


def _check(part: Path, path: str, checksum: str) -> None:
    digest = Digest((scheme_of(checksum),))
    _hash(part, digest)
    if not digest.matches(checksum):
        raise ChecksumMismatch(
            errno.EIO, f"{path}: what arrived has not the checksum {checksum}. Try again"
        )


def _move_ranges(
    size: int, streams: int, first: Descriptor, another: Callable[[], Descriptor], move: Move
) -> None:
    """Move ranges over several descriptors at once; the first error ends all of them."""
    stop = threading.Event()

    def run(descriptor: Descriptor, start: int, end: int) -> None:
        descriptor.seek(start)
        for offset in range(start, end, BLOCK):
            if stop.is_set():
                return
            move(descriptor, offset, min(BLOCK, end - offset))

    def run_another(start: int, end: int) -> None:
        with another() as descriptor:
            run(descriptor, start, end)

    if streams == 1:
        run(first, 0, size)
        return
    bounds = list(_ranges(size, streams))
    with ThreadPoolExecutor(streams, thread_name_prefix="irods-transfer") as pool:
        try:
            tasks = [pool.submit(run, first, *bounds[0])]
            tasks += [pool.submit(run_another, *each) for each in bounds[1:]]
            wait(tasks, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        # A broken connection is why the others fail too, and it alone is worth another try.
        raise max(errors, key=_is_broken)


def _is_broken(error: BaseException) -> bool:
    return isinstance(error, ZoneUnavailable | NetworkException)


def _ranges(size: int, streams: int) -> Iterator[tuple[int, int]]:
    """Cut a size into as many ranges, at multiples of a block."""
    each = -(-size // (streams * BLOCK)) * BLOCK
    yield 0, min(each, size)
    for start in range(each, size, each or 1):
        yield start, min(start + each, size)


def _repeated(objects: ObjectOperations, transfer: Callable[[], T]) -> T:
    for _ in range(objects.session_holder.timeouts.attempts - 1):
        try:
            return transfer()
        except ZoneUnavailable:
            continue
    return transfer()


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


class SerializedCallback(Callback):  # type: ignore[misc]  # fsspec has no types
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

    def branched(self, path_1: Any, path_2: Any, **kwargs: Any) -> SerializedCallback:
        """Return the callback of one file."""
        with self._lock:
            return SerializedCallback(self._told.branched(path_1, path_2, **kwargs), self._lock)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._told.close()


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
    _move_in_parallel(one, parts[TransferKind.SMALL], at_once)
    for pair in parts[TransferKind.LARGE]:
        one(pair)


def _move_in_parallel(one: Callable[[Pair], None], pairs: Sequence[Pair], at_once: int) -> None:
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
