"""Upload and download of files, large ones over several connections, and of whole trees."""

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

from nds_jupyter.data.irods.checksums import Digest, scheme_of
from nds_jupyter.data.irods.exceptions import (
    ChecksumMismatch,
    ZoneUnavailable,
    mapped_errors,
    short_content,
)
from nds_jupyter.data.irods.object_descriptors import BLOCK, REPLICA_TOKENS_SINCE, Descriptor
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.path_patterns import LiteralPaths
from nds_jupyter.data.irods.replacement import TEMPORARY_PREFIX, Replacement, temporary_path


class FileProgress:
    """Thread-safe progress of one file, reported to a callback of fsspec."""

    def __init__(self, callback: Any, size: int) -> None:
        self._callback = callback
        self.size = size
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Report zero bytes."""
        self._callback.set_size(self.size)
        self._callback.absolute_update(0)

    def add(self, count: int) -> None:
        """Report more bytes."""
        with self._lock:
            self._callback.relative_update(count)


T = TypeVar("T")

MoveBlock = Callable[[Descriptor, int, int], None]
"""Moves a block between a descriptor and a local file, given its offset and size."""


class TransferStreams(msgspec.Struct, frozen=True, kw_only=True):
    """Options of transfers: how many connections they use, and whether downloads are verified.

    Parameters
    ----------
    max_streams
        Connections for one large file.
    parallel_from
        Bytes from which on a file is large.
    files_at_once
        Files that are transferred at the same time, as long as they are not large.
    verify_downloads
        Whether what arrives is compared with the registered checksum.
    """

    max_streams: int = 4
    parallel_from: int = 64 * 2**20
    files_at_once: int = 8
    verify_downloads: bool = False

    def count(self, size: int) -> int:
        """Return the number of connections for a file of a size."""
        return self.max_streams if size >= self.parallel_from else 1


def upload(
    replacement: Replacement,
    streams: TransferStreams,
    local: Path,
    path: str,
    callback: Any,
    *,
    replace: bool,
) -> None:
    """Upload a local file of several blocks, a large one over several connections."""
    progress = FileProgress(callback, local.stat().st_size)
    holder = replacement.objects.session_holder
    joined = holder.call(lambda session: session.server_version, path) >= REPLICA_TOKENS_SINCE
    count = streams.count(progress.size) if joined else 1

    def attempt() -> None:
        # The server may keep the object of a broken attempt open: each has a name of its own.
        temporary = temporary_path(path)
        try:
            digest = _upload(replacement, count, local, temporary, path, progress)
            replacement.verify(temporary, digest, progress.size, final_path=path)
        except BaseException:
            replacement.objects.remove_quietly(temporary)
            raise
        replacement.commit(temporary, path, replace=replace)

    _with_retries(replacement.objects, attempt)


def _upload(
    replacement: Replacement,
    streams: int,
    local: Path,
    temporary: str,
    path: str,
    progress: FileProgress,
) -> Digest:
    progress.restart()
    size, objects = progress.size, replacement.objects
    first = objects.create(temporary, final_path=path, size=size, streams=streams)
    digest = replacement.schemes.digest()
    with mapped_errors(path), first, local.open("rb") as source:
        options = {kw.NUM_THREADS_KW: str(streams), kw.DATA_SIZE_KW: str(size)}
        if streams > 1:
            options |= first.replica_options()

        def send(descriptor: Descriptor, offset: int, count: int) -> None:
            descriptor.write(os.pread(source.fileno(), count, offset))
            progress.add(count)

        def open_another() -> Descriptor:
            return objects.open_parallel(temporary, final_path=path, size=size, options=options)

        hashing = threading.Thread(target=_hash, args=(local, digest), daemon=True)
        hashing.start()
        _move_ranges(size, streams, first, open_another, send)
        hashing.join()
    return digest


def _hash(local: Path, digest: Digest) -> None:
    with local.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)


def download(
    objects: ObjectOperations, streams: TransferStreams, path: str, local: Path, callback: Any
) -> None:
    """Download an object to a local file, which appears when it is complete."""
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part")
    try:
        _with_retries(objects, lambda: _download(objects, streams, path, part, callback))
        if streams.verify_downloads:
            _verify_checksum(part, path, objects.checksum(path))
        part.replace(local)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _download(
    objects: ObjectOperations, streams: TransferStreams, path: str, part: Path, callback: Any
) -> None:
    with mapped_errors(path), objects.open(path) as first, part.open("wb") as target:
        size = first.registered_size()
        progress = FileProgress(callback, size)
        progress.restart()

        buffers = threading.local()

        def receive(descriptor: Descriptor, offset: int, count: int) -> None:
            # One buffer a thread: fresh memory for each block costs a page fault for each page.
            if not hasattr(buffers, "block"):
                buffers.block = memoryview(bytearray(min(BLOCK, size)))
            block = buffers.block[:count]
            if (done := descriptor.read_into(block)) != count:
                raise short_content(path, offset + done, size)
            os.pwrite(target.fileno(), block, offset)
            progress.add(count)

        if size <= BLOCK:
            receive(first, 0, size)
            return
        before = objects.listing.find(path)
        _move_ranges(size, streams.count(size), first, lambda: objects.open(path), receive)
        # One request reads a small object; of a large one others can write over a part meanwhile.
        if objects.listing.find(path) != before:
            raise ZoneUnavailable(errno.EIO, f"{path} changed while it was read. Try again")


def _verify_checksum(part: Path, path: str, checksum: str) -> None:
    digest = Digest((scheme_of(checksum),))
    _hash(part, digest)
    if not digest.matches(checksum):
        raise ChecksumMismatch(
            errno.EIO, f"{path}: what arrived has not the checksum {checksum}. Try again"
        )


def _move_ranges(
    size: int,
    streams: int,
    first: Descriptor,
    open_another: Callable[[], Descriptor],
    move_block: MoveBlock,
) -> None:
    """Move ranges over several descriptors at the same time; the first error ends all of them."""
    stop = threading.Event()

    def run(descriptor: Descriptor, start: int, end: int) -> None:
        if start:
            descriptor.seek(start)
        for offset in range(start, end, BLOCK):
            if stop.is_set():
                return
            move_block(descriptor, offset, min(BLOCK, end - offset))

    def run_another(start: int, end: int) -> None:
        with open_another() as descriptor:
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
        # A broken connection makes the others fail too, and it alone is retried.
        raise max(errors, key=_is_broken_connection)


def _is_broken_connection(error: BaseException) -> bool:
    return isinstance(error, ZoneUnavailable | NetworkException)


def _ranges(size: int, streams: int) -> Iterator[tuple[int, int]]:
    """Cut a size into at most so many ranges, at multiples of a block."""
    each = -(-size // (streams * BLOCK)) * BLOCK
    yield 0, min(each, size)
    for start in range(each, size, each or 1):
        yield start, min(start + each, size)


def _with_retries(objects: ObjectOperations, transfer: Callable[[], T]) -> T:
    for _ in range(objects.session_holder.timeouts.attempts - 1):
        try:
            return transfer()
        except ZoneUnavailable:
            continue
    return transfer()


Pair = tuple[Any, Any]
"""A source and its target."""


class BulkTransferPlan(LiteralPaths):
    """Plan of a tree's transfer: fsspec resolves the paths, the pairs are recorded here.

    Parameters
    ----------
    zone
        The filesystem that lists the tree.
    """

    cachable = False
    root_marker = "/"

    def __init__(self, zone: AbstractFileSystem) -> None:
        super().__init__()
        self._zone = zone
        self._infos: dict[str, dict[str, Any]] = {}
        self.pairs: list[Pair] = []

    def put_file(self, lpath: Any, rpath: Any, **kwargs: Any) -> None:
        """Record an upload."""
        self.pairs.append((lpath, rpath))

    def get_file(self, rpath: Any, lpath: Any, **kwargs: Any) -> None:
        """Record a download."""
        self.pairs.append((rpath, lpath))

    def isdir(self, path: str) -> bool:
        """Whether a path is a collection; paths that were listed need no query."""
        info = self.listed_info(path)
        return info["type"] == "directory" if info else bool(self._zone.isdir(path))

    def listed_info(self, path: Any) -> dict[str, Any]:
        """Return the description of a path that was listed; empty if it was not."""
        return self._infos.get(self._strip_protocol(path), {})

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """List everything below a collection, and keep the descriptions."""
        infos = self._zone.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True, **kwargs)
        self._infos.update(infos)
        return infos if detail else list(infos)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a collection."""
        return list(self._zone.ls(path, detail=detail, **kwargs))

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe one path."""
        return dict(self._zone.info(path, **kwargs))

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a path."""
        return bool(self._zone.exists(path, **kwargs))

    def _strip_protocol(self, path: Any) -> Any:
        return self._zone._strip_protocol(path)


class SerializedCallback(Callback):  # type: ignore[misc]  # fsspec has no types
    """Callback of fsspec that many threads can use: it and its branches call one at a time.

    Parameters
    ----------
    callback
        The callback that is called.
    lock
        Of the callback that this is a branch of.
    """

    def __init__(self, callback: Any, lock: threading.Lock | None = None) -> None:
        super().__init__()
        self._callback = callback
        self._lock = lock or threading.Lock()

    def set_size(self, size: int | None) -> None:
        """Pass the size on."""
        with self._lock:
            self._callback.set_size(size)

    def absolute_update(self, value: int) -> None:
        """Pass the progress on."""
        with self._lock:
            self._callback.absolute_update(value)

    def relative_update(self, inc: int = 1) -> None:
        """Pass the increment on."""
        with self._lock:
            self._callback.relative_update(inc)

    def call(self, hook_name: str | None = None, **kwargs: Any) -> Any:
        """Call the hooks."""
        with self._lock:
            return self._callback.call(hook_name, **kwargs)

    def branched(self, path_1: Any, path_2: Any, **kwargs: Any) -> SerializedCallback:
        """Return the callback of one file."""
        with self._lock:
            return SerializedCallback(self._callback.branched(path_1, path_2, **kwargs), self._lock)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._callback.close()


class TransferKind(enum.Enum):
    """Kind of a file in a tree; they are transferred in this order."""

    FOLDER = "one by one"
    SMALL = "several at a time"
    LARGE = "one by one, over several connections"


class FileTransfer(Protocol):
    """Function that transfers one file of a tree."""

    def __call__(self, source: Any, target: Any, *, callback: Any) -> None:
        """Transfer it, and report its progress to the callback."""


def upload_tree(
    fs: AbstractFileSystem,
    streams: TransferStreams,
    lpath: Any,
    rpath: Any,
    callback: Any,
    *,
    recursive: bool,
    maxdepth: int | None,
    **kwargs: Any,
) -> None:
    """Upload files and folders, as fsspec's `put`; the first error ends it."""
    plan = BulkTransferPlan(fs)
    plan.put(lpath, rpath, recursive=recursive, maxdepth=maxdepth, **kwargs)
    for _, target in plan.pairs:
        # A name that iRODS can't have is refused before anything is sent.
        fs._strip_protocol(target)

    def kind_of(pair: Pair) -> TransferKind:
        local = Path(pair[0])
        if local.is_dir():
            return TransferKind.FOLDER
        large = local.exists() and streams.count(local.stat().st_size) > 1
        return TransferKind.LARGE if large else TransferKind.SMALL

    def upload_one(source: Any, target: Any, *, callback: Any) -> None:
        fs.put_file(source, target, callback=callback, **kwargs)

    _transfer_files(plan.pairs, upload_one, kind_of, callback, streams.files_at_once)


def download_tree(
    fs: AbstractFileSystem,
    streams: TransferStreams,
    rpath: Any,
    lpath: Any,
    callback: Any,
    *,
    recursive: bool,
    maxdepth: int | None,
    **kwargs: Any,
) -> None:
    """Download objects and collections, as fsspec's `get`; the first error ends it."""
    plan = BulkTransferPlan(fs)
    plan.get(rpath, lpath, recursive=recursive, maxdepth=maxdepth, **kwargs)

    def kind_of(pair: Pair) -> TransferKind:
        info = plan.listed_info(pair[0])
        if info.get("type") == "directory":
            return TransferKind.FOLDER
        large = streams.count(info.get("size", 0)) > 1
        return TransferKind.LARGE if large else TransferKind.SMALL

    def download_one(source: Any, target: Any, *, callback: Any) -> None:
        if plan.listed_info(source).get("type") == "directory":
            Path(target).mkdir(parents=True, exist_ok=True)
        else:
            fs.get_file(source, target, callback=callback, **kwargs)

    _transfer_files(plan.pairs, download_one, kind_of, callback, streams.files_at_once)


def _transfer_files(
    pairs: Sequence[Pair],
    transfer: FileTransfer,
    kind_of: Callable[[Pair], TransferKind],
    callback: Any,
    files_at_once: int,
) -> None:
    """Transfer files; after the first error only those that have begun are finished."""
    serialized = SerializedCallback(callback)
    serialized.set_size(len(pairs))

    def transfer_one(pair: Pair) -> None:
        with serialized.branched(*pair) as child:
            transfer(*pair, callback=child)
        serialized.relative_update(1)

    by_kind: dict[TransferKind, list[Pair]] = {each: [] for each in TransferKind}
    for pair in pairs:
        by_kind[kind_of(pair)].append(pair)
    for pair in by_kind[TransferKind.FOLDER]:
        transfer_one(pair)
    _in_parallel(transfer_one, by_kind[TransferKind.SMALL], files_at_once)
    for pair in by_kind[TransferKind.LARGE]:
        transfer_one(pair)


def _in_parallel(
    transfer_one: Callable[[Pair], None], pairs: Sequence[Pair], files_at_once: int
) -> None:
    if len(pairs) < 2 or files_at_once < 2:
        for pair in pairs:
            transfer_one(pair)
        return
    with ThreadPoolExecutor(files_at_once, thread_name_prefix="irods-tree") as pool:
        tasks = [pool.submit(transfer_one, pair) for pair in pairs]
        try:
            wait(tasks, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
