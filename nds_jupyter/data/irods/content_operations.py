"""Content operations of the filesystem: open, read, write, upload, download."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike

from nds_jupyter.data.irods.atomic_replace import BLOCK, AtomicReplace
from nds_jupyter.data.irods.bulk_transfer import BulkTransferPlan, Pair, TransferKind, move
from nds_jupyter.data.irods.descriptors import REPLICA_TOKENS_SINCE
from nds_jupyter.data.irods.files import ReadFile, WriteFile, read_range
from nds_jupyter.data.irods.read_operations import ReadOperations
from nds_jupyter.data.irods.sessions import SessionHolder
from nds_jupyter.data.irods.transfer import TransferStreams, download, upload


class ContentOperations(ReadOperations):
    """The content of objects, on top of what can be looked up."""

    _sessions: SessionHolder
    _placing: AtomicReplace
    _streams: TransferStreams

    blocksize = BLOCK

    def streams(self, size: int) -> int:
        """Return the connections over which an object of a size is moved."""
        return self._streams.of(size)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        named: str | None = None,
        **kwargs: Any,
    ) -> ReadFile | WriteFile:
        if mode == "rb":
            return ReadFile(
                self,
                path,
                objects=self._objects,
                block_size=block_size or BLOCK,
                cache_options=cache_options,
                **kwargs,
            )
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"{path} can't be opened as {mode!r}; iRODS files are r, w, x or a.")
        if mode == "xb" and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        return WriteFile(
            self,
            path,
            mode,
            placing=self._placing,
            block_size=block_size or BLOCK,
            autocommit=autocommit,
            named=named,
        )

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the content, or a part of it; negative ends count from the end."""
        path = self._strip_protocol(path)
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(path)["size"]
            start, end, _ = slice(start, end).indices(size)
        return read_range(self._objects, path, start or 0, end)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Make this the content."""
        with self.open(path, "xb" if mode == "create" else "wb") as file:
            view = memoryview(value)
            for start in range(0, len(view), BLOCK):
                file.write(view[start : start + BLOCK])

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty object, or only change the time of one that is there."""
        path = self._strip_protocol(path)
        if truncate or not self.exists(path):
            self.pipe_file(path, b"")
        else:
            self._sessions.call(lambda session: session.data_objects.touch(path), path)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Store local files, several at a time; collections are made before what they hold."""
        plan = BulkTransferPlan(self)
        plan.put(lpath, rpath, recursive=recursive, maxdepth=maxdepth, **kwargs)

        def kind(pair: Pair) -> TransferKind:
            local = Path(pair[0])
            if local.is_dir():
                return TransferKind.FOLDER
            large = local.exists() and self.streams(local.stat().st_size) > 1
            return TransferKind.LARGE if large else TransferKind.SMALL

        def store(source: Any, target: Any, *, callback: Any) -> None:
            self.put_file(source, target, callback=callback, **kwargs)

        move(plan.pairs, store, kind, callback, self._streams.files)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Fetch objects into local files, several at a time."""
        plan = BulkTransferPlan(self)
        plan.get(rpath, lpath, recursive=recursive, maxdepth=maxdepth, **kwargs)

        def kind(pair: Pair) -> TransferKind:
            found = plan.found(pair[0])
            if found.get("type") == "directory":
                return TransferKind.FOLDER
            return (
                TransferKind.LARGE if self.streams(found.get("size", 0)) > 1 else TransferKind.SMALL
            )

        def fetch(source: Any, target: Any, *, callback: Any) -> None:
            if plan.found(source).get("type") == "directory":
                Path(target).mkdir(parents=True, exist_ok=True)
            else:
                self.get_file(source, target, callback=callback, **kwargs)

        move(plan.pairs, fetch, kind, callback, self._streams.files)

    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Store one local file, or make a collection where it is a folder."""
        local, path = Path(lpath), self._strip_protocol(rpath)
        if local.is_dir():
            self.makedirs(path, exist_ok=True)
            return
        replace = mode != "create"
        if not replace and self.exists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already")
        if self.streams(local.stat().st_size) > 1 and self.server_version >= REPLICA_TOKENS_SINCE:
            upload(self._placing, self._streams, local, path, callback, replace=replace)
            return
        callback.set_size(local.stat().st_size)
        with local.open("rb") as source, self.open(path, "wb" if replace else "xb") as target:
            while block := source.read(BLOCK):
                callback.relative_update(target.write(block))

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Fetch one object into a local file, or make a folder where it is a collection."""
        path = self._strip_protocol(rpath)
        if outfile is not None or isfilelike(lpath):
            super().get_file(path, lpath, callback=callback, outfile=outfile)
            return
        try:
            download(self._objects, self._streams, path, Path(lpath), callback)
        except IsADirectoryError:
            Path(lpath).mkdir(parents=True, exist_ok=True)
