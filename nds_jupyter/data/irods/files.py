"""File objects of the filesystem: random-access reading, sequential writing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from nds_jupyter.data.irods.atomic_replace import BLOCK, FIRST, AtomicReplace, temporary_beside
from nds_jupyter.data.irods.descriptors import Descriptor
from nds_jupyter.data.irods.errors import ZoneUnavailable, translated
from nds_jupyter.data.irods.objects import ObjectOperations


class ReadFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A data object, open for reading on a connection of its own.

    A lost connection is opened again and the read repeated; so is one inherited by a fork.
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
        self._owner = os.getpid()
        self._at: int | None = None
        self._objects = objects
        self.path = path
        if size is None:
            with translated(path):
                size = self._at = self._opened().seek(0, 2)
        super().__init__(fs, path, "rb", size=size, **rest)

    def _opened(self) -> Descriptor:
        if self._owner != os.getpid():
            self._descriptor, self._owner = None, os.getpid()
        if self._descriptor is None:
            self._descriptor = self._objects.open(self.path)
            self._at = 0
        return self._descriptor

    def _fetch_range(self, start: int, end: int) -> bytes:
        left = self._objects.sessions.waits.attempts
        while True:
            left -= 1
            try:
                with translated(self.path):
                    return self._read_at(self._opened(), start, end - start)
            except ZoneUnavailable:
                self._drop()
                if left <= 0:
                    raise

    def _read_at(self, opened: Descriptor, start: int, size: int) -> bytes:
        # Who reads on needs no seek, which would cost a journey to the server for every block.
        at, self._at = self._at, None
        if at != start:
            opened.seek(start)
        data = opened.read(size)
        self._at = start + len(data)
        return data

    def _drop(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self._owner == os.getpid():
            descriptor.abandon()

    def close(self) -> None:
        """Close it."""
        if self.closed:
            return
        super().close()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self._owner == os.getpid():
            # What was read is read, also where the zone does not hear the end of it.
            with contextlib.suppress(OSError), translated(self.path):
                descriptor.close()


class WriteFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A new data object, or a longer one, that appears when it is closed and verified.

    Parameters
    ----------
    mode
        ``wb`` replaces, ``xb`` refuses what is there, ``ab`` continues a copy of what is there.
    named
        Where `path` is one that nobody looks at: the name that its writer will give it. It is
        then written under its own name, and errors name this one.
    """

    DEFAULT_BLOCK_SIZE = BLOCK

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        mode: str,
        *,
        placing: AtomicReplace,
        named: str | None = None,
        **rest: Any,
    ) -> None:
        self._owner = os.getpid()
        self._placing = placing
        self._objects = placing.objects
        self._descriptor: Descriptor | None = None
        self._written = 0
        self._kept = 0
        self._named = named or path
        self._temporary = path if named else temporary_beside(path)
        self._digest = placing.schemes.digest()
        super().__init__(fs, path, mode, **rest)
        self._begin()

    def _begin(self) -> None:
        objects = self._objects
        try:
            if self.mode == "ab" and self.fs.exists(self.path):
                objects.copy(self.path, self._temporary, named=self.path)
                self._descriptor = objects.reopen(self._temporary, named=self.path)
                with translated(self.path):
                    self._kept = self.loc = self._descriptor.seek(0, 2)
            else:
                self._descriptor = objects.create(self._temporary, named=self._named)
        except BaseException:
            self.closed = True
            raise

    def _upload_chunk(self, final: bool = False) -> bool:
        with self.buffer.getbuffer() as data:
            for start in range(0, len(data), BLOCK):
                self._send(bytes(data[start : start + BLOCK]))
        if final and self.autocommit:
            self.commit()
        return True

    def _send(self, block: bytes) -> None:
        self._persistently(lambda opened: opened.write(block))
        self._digest.update(block)
        self._written += len(block)

    def _persistently(self, act: Callable[[Descriptor], None]) -> None:
        """Do something with the descriptor, with another one if its connection breaks."""
        left = self._objects.sessions.waits.attempts
        while True:
            left -= 1
            try:
                with translated(self._named):
                    act(self._opened())
                return
            except ZoneUnavailable:
                self._drop()
                if left <= 0:
                    raise

    def _opened(self) -> Descriptor:
        if self._descriptor is None:
            self._descriptor = self._objects.reopen(self._temporary, named=self._named)
            self._descriptor.seek(self._kept + self._written)
        return self._descriptor

    def _drop(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            descriptor.abandon()

    def commit(self) -> None:
        """Verify what was written, and give it its name."""
        self._persistently(Descriptor.close)
        self._descriptor = None
        self._placing.verify(
            self._temporary, self._digest, self._written, named=self._named, start=self._kept
        )
        if self._temporary != self.path:
            self._placing.place(self._temporary, self.path, replace=self.mode != "xb")

    def discard(self) -> None:
        """Throw it away."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            descriptor.give_up()
        self.closed = True
        self._objects.remove_quietly(self._temporary)

    def close(self) -> None:
        """Finish; on an error nothing of it stays."""
        if self.closed:
            return
        if self._owner != os.getpid():
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
        """Finish if all went well: half a file shall not look like a whole one."""
        if kind is None:
            self.close()
        elif not self.closed:
            self.discard()


def read_range(objects: ObjectOperations, path: str, start: int, end: int | None) -> bytes:
    """Return a part of an object; a lost connection is opened again and the reading goes on."""
    parts: list[bytes] = []
    left = objects.sessions.waits.attempts
    while True:
        left -= 1
        try:
            with translated(path), objects.open(path) as opened:
                _read_on(opened, parts, start, end)
            return b"".join(parts)
        except ZoneUnavailable:
            if left <= 0:
                raise


def _read_on(opened: Descriptor, parts: list[bytes], start: int, end: int | None) -> None:
    at = start + sum(map(len, parts))
    if at:
        opened.seek(at)
    while end is None or at < end:
        # A buffer for a large block costs more than a small object.
        most = BLOCK if parts else FIRST
        wanted = most if end is None else min(most, end - at)
        block = opened.read(wanted)
        parts.append(block)
        at += len(block)
        if len(block) < wanted:
            return
