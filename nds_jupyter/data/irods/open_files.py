"""File objects of the filesystem: random-access reading, sequential writing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from nds_jupyter.data.irods.exceptions import (
    CatalogueLost,
    ZoneUnavailable,
    mapped_errors,
    short_content,
)
from nds_jupyter.data.irods.object_descriptors import BLOCK, Descriptor
from nds_jupyter.data.irods.objects import ObjectOperations
from nds_jupyter.data.irods.replacement import Replacement, temporary_path


class ReadFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """File object for reading a data object, on a connection of its own.

    After a lost connection, or in a forked process, it is opened again and the read repeated.
    """

    DEFAULT_BLOCK_SIZE = BLOCK

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        *,
        objects: ObjectOperations,
        size: int | None = None,
        **rest: Any,
    ) -> None:
        self._descriptor: Descriptor | None = None
        self._pid = os.getpid()
        self._position: int | None = None
        self._objects = objects
        self.path = path
        if size is None:
            with mapped_errors(path):
                size = self._current_descriptor().registered_size()
        super().__init__(fs, path, "rb", size=size, **rest)

    def _current_descriptor(self) -> Descriptor:
        if self._pid != os.getpid():
            self._descriptor, self._pid = None, os.getpid()
        if self._descriptor is None:
            self._descriptor = self._objects.open(self.path)
            self._position = 0
        return self._descriptor

    def _fetch_range(self, start: int, end: int) -> bytes:
        attempts = self._objects.session_holder.timeouts.attempts
        while True:
            attempts -= 1
            try:
                with mapped_errors(self.path):
                    data = self._read_at(self._current_descriptor(), start, end - start)
            except ZoneUnavailable:
                self._abort_descriptor()
                if attempts <= 0:
                    raise
                continue
            if len(data) < min(end, self.size) - start:
                raise short_content(self.path, start + len(data), self.size)
            return data

    def _read_at(self, descriptor: Descriptor, start: int, size: int) -> bytes:
        # Sequential reads need no seek, which would cost a round trip for every block.
        position, self._position = self._position, None
        if position != start:
            descriptor.seek(start)
        data = descriptor.read(size)
        self._position = start + len(data)
        return data

    def _abort_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self._pid == os.getpid():
            descriptor.abort()

    def close(self) -> None:
        """Close the descriptor and give its connection back."""
        if self.closed:
            return
        super().close()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self._pid == os.getpid():
            # The data was read already: an error of closing is none of the reader.
            with contextlib.suppress(OSError), mapped_errors(self.path):
                descriptor.close()


class WriteFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """File object for writing a data object, which appears when it is closed and verified.

    Up to one block is kept in memory and stored by one request. More of it goes to a temporary
    object, which gets the path in the end.

    Parameters
    ----------
    mode
        ``wb`` replaces, ``xb`` refuses what is there, ``ab`` continues a copy of what is there.
    final_path
        Given where `path` is temporary already: the path that its writer will rename it to. It is
        then written at `path` itself, and errors name this one.
    """

    DEFAULT_BLOCK_SIZE = BLOCK

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        mode: str,
        *,
        replacement: Replacement,
        final_path: str | None = None,
        **rest: Any,
    ) -> None:
        self._pid = os.getpid()
        self._replacement = replacement
        self._objects = replacement.objects
        self._descriptor: Descriptor | None = None
        self._in_memory: bytes | None = None
        self._written = 0
        self._existing_size = 0
        self._final_path = final_path or path
        self._is_temporary = final_path is not None
        # The temporary object, from when it is there until it has its path or is removed.
        self._temporary = ""
        self._digest = replacement.schemes.digest()
        super().__init__(fs, path, mode, **rest)
        if mode == "ab" and fs.exists(path):
            self._open_copy()

    def _open_copy(self) -> None:
        objects, temporary = self._objects, temporary_path(self.path)
        try:
            source = objects.listing.find(self.path)
            self._temporary = temporary
            objects.copy(source, temporary, final_path=self.path)
            self._descriptor = objects.reopen(temporary, final_path=self.path)
            with mapped_errors(self.path):
                self._existing_size = self.loc = self._descriptor.seek(0, 2)
        except BaseException:
            self.discard()
            raise

    def _upload_chunk(self, final: bool = False) -> bool:
        with self.buffer.getbuffer() as data:
            if final and not self._temporary and len(data) <= BLOCK:
                self._in_memory = bytes(data)
            else:
                for start in range(0, len(data), BLOCK):
                    self._write_block(bytes(data[start : start + BLOCK]))
        if final and self.autocommit:
            self.commit()
        return True

    def _write_block(self, block: bytes) -> None:
        if not self._temporary:
            self._temporary = self.path if self._is_temporary else temporary_path(self.path)
            self._descriptor = self._objects.create(self._temporary, final_path=self._final_path)
        self._with_retries(lambda descriptor: descriptor.write(block))
        self._digest.update(block)
        self._written += len(block)

    def _with_retries(self, operation: Callable[[Descriptor], None]) -> None:
        """Run an operation on the descriptor, on a new one if its connection breaks."""
        attempts = self._objects.session_holder.timeouts.attempts
        while True:
            attempts -= 1
            try:
                with mapped_errors(self._final_path):
                    operation(self._current_descriptor())
                return
            except ZoneUnavailable as exc:
                self._abort_descriptor()
                # An object whose close the catalogue missed stays locked, and can't be reopened.
                if attempts <= 0 or isinstance(exc.__cause__, CatalogueLost):
                    raise

    def _current_descriptor(self) -> Descriptor:
        if self._descriptor is None:
            self._descriptor = self._objects.reopen(self._temporary, final_path=self._final_path)
            self._descriptor.seek(self._existing_size + self._written)
        return self._descriptor

    def _abort_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            descriptor.abort()

    def commit(self) -> None:
        """Store what was written at its path, verified."""
        replace = self.mode != "xb"
        if not self._temporary:
            content, self._in_memory = self._in_memory or b"", None
            self._replacement.store(
                self.path, content, final_path=self._final_path, replace=replace
            )
            return
        self._with_retries(Descriptor.close)
        self._descriptor = None
        self._replacement.verify(
            self._temporary,
            self._digest,
            self._written,
            final_path=self._final_path,
            start=self._existing_size,
        )
        temporary, self._temporary = self._temporary, ""
        if not self._is_temporary:
            self._replacement.commit(temporary, self.path, replace=replace)

    def discard(self) -> None:
        """Remove what was written."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            descriptor.close_quietly()
        self.closed = True
        if self._temporary:
            self._objects.remove_quietly(self._temporary)

    def close(self) -> None:
        """Write the rest and commit; on an error remove what was written."""
        if self.closed:
            return
        if self._pid != os.getpid():
            self.closed = True
            return
        try:
            super().close()
        except BaseException:
            self.discard()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit after a block without an error, else discard: no half file may look complete."""
        if kind is None:
            self.close()
        elif not self.closed:
            self.discard()


def read_range(objects: ObjectOperations, path: str, start: int, end: int | None) -> bytes:
    """Return a part of an object, resuming after a lost connection."""
    parts: list[bytes] = []
    attempts = objects.session_holder.timeouts.attempts
    while True:
        attempts -= 1
        try:
            with mapped_errors(path), objects.open(path) as descriptor:
                _resume_reading(descriptor, parts, path, start, end)
            return b"".join(parts)
        except ZoneUnavailable:
            if attempts <= 0:
                raise


def _resume_reading(
    descriptor: Descriptor, parts: list[bytes], path: str, start: int, end: int | None
) -> None:
    registered = descriptor.registered_size()
    end = registered if end is None else min(end, registered)
    position = start + sum(map(len, parts))
    if position:
        descriptor.seek(position)
    while position < end:
        block = descriptor.read(min(BLOCK, end - position))
        if not block:
            raise short_content(path, position, registered)
        parts.append(block)
        position += len(block)
