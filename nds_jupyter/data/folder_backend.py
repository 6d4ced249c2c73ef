"""Storage backend over a local folder, with metadata in extended attributes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.entries import Avu, Entry, Kind
from nds_jupyter.jobs.logical_paths import is_inside

ATTRIBUTE = "user.nds.avus"
"""The extended attribute that holds metadata: it moves with its file, and needs no other file."""


class FolderBackend(Backend):
    """A folder of this machine."""

    def full(self, path: str) -> str:
        """Return the path on this machine; PermissionError if a link leads out of the folder."""
        full = super().full(path)
        if not is_inside(os.path.realpath(full), os.path.realpath(self.base or "/")):
            raise PermissionError(errno.EACCES, "a link leads out of the data root")
        return full

    def entry(self, path: str) -> Entry:
        """Describe one path; a link is what it leads to."""
        if not is_inside(os.path.realpath(path), os.path.realpath(self.base or "/")):
            raise PermissionError(errno.EACCES, "a link leads out of the data root")
        found = Path(path).stat()
        folder = stat.S_ISDIR(found.st_mode)
        return Entry(
            # A name that is not UTF-8 can be shown, though not be asked for.
            name=os.fsencode(Path(path).name).decode("utf-8", "replace"),
            path=os.fsencode(path).decode("utf-8", "replace"),
            kind=Kind.COLLECTION if folder else Kind.DATA_OBJECT,
            size=0 if folder else found.st_size,
            modified=datetime.fromtimestamp(found.st_mtime, UTC),
            stamp=f"{found.st_ino:x}-{found.st_mtime_ns:x}",
        )

    def _names(self, path: str) -> Iterable[str]:
        return (each.name for each in Path(path).iterdir())

    def unreadable(self, paths: Iterable[str]) -> str | None:
        """Return the first path of the data root that the server's account may not read."""
        full = super().full
        return next((path for path in paths if not os.access(full(path), os.R_OK)), None)

    def open_read(self, path: str, start: int) -> Any:
        """Open a plain file: a pipe would make its reader wait for ever."""
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return super().open_read(path, start)

    def place(
        self, source: str, target: str, *, replace: bool, keep_metadata: bool = False
    ) -> None:
        """Move a file to its name in one step, which nobody can come between."""
        if replace:
            if keep_metadata:
                # Permissions and extended attributes; the times are the new file's own.
                with contextlib.suppress(FileNotFoundError):
                    times = Path(source).stat()
                    shutil.copystat(target, source)
                    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
            Path(source).replace(target)
            return
        try:
            os.link(source, target)
        except PermissionError:
            # Not every filesystem has hard links.
            if os.path.lexists(target):
                raise FileExistsError(target) from None
            Path(source).replace(target)
        else:
            Path(source).unlink()

    def move_collection(self, source: str, target: str) -> None:
        """Rename a folder."""
        if os.path.lexists(target):
            raise FileExistsError(target)
        Path(source).rename(target)

    def metadata(self, path: str) -> tuple[Avu, ...]:
        """Return what the extended attribute holds."""
        try:
            body = os.getxattr(path, ATTRIBUTE)
        except OSError as exc:
            if exc.errno == errno.ENODATA:
                return ()
            raise _as_attribute_error(exc) from exc
        return msgspec.json.decode(body, type=tuple[Avu, ...])

    def set_metadata(self, path: str, avus: tuple[Avu, ...]) -> None:
        """Write the extended attribute."""
        try:
            os.setxattr(path, ATTRIBUTE, msgspec.json.encode(avus))
        except OSError as exc:
            raise _as_attribute_error(exc) from exc

    def free(self) -> int | None:
        """Return the free bytes of the disk."""
        return shutil.disk_usage(self.base or "/").free

    def version(self) -> str:
        """Say that it is a folder, after looking at it."""
        os.scandir(self.base or "/").close()
        return "folder"


def _as_attribute_error(exc: OSError) -> Exception:
    if exc.errno in {errno.ENOTSUP, errno.EOPNOTSUPP}:
        return NotImplementedError("the disk of this folder keeps no extended attributes")
    return exc
