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
    """Backend over a folder of this machine."""

    def filesystem_path(self, path: str) -> str:
        """Return the path on this machine; PermissionError if a link leads out of the folder."""
        fs_path = super().filesystem_path(path)
        self._check_inside(fs_path)
        return fs_path

    def _check_inside(self, fs_path: str) -> None:
        if not is_inside(os.path.realpath(fs_path), os.path.realpath(self.base or "/")):
            raise PermissionError(errno.EACCES, "a link leads out of the data root")

    def entry(self, path: str) -> Entry:
        """Describe one path; links are followed."""
        self._check_inside(path)
        facts = Path(path).stat()
        folder = stat.S_ISDIR(facts.st_mode)
        return Entry(
            # A name that is not UTF-8 can be shown, though no request can name it.
            name=os.fsencode(Path(path).name).decode("utf-8", "replace"),
            path=os.fsencode(path).decode("utf-8", "replace"),
            kind=Kind.COLLECTION if folder else Kind.DATA_OBJECT,
            size=0 if folder else facts.st_size,
            modified=datetime.fromtimestamp(facts.st_mtime, UTC),
            stamp=f"{facts.st_ino:x}-{facts.st_mtime_ns:x}",
        )

    def _names(self, path: str) -> Iterable[tuple[str, Kind]]:
        with os.scandir(path) as entries:
            for each in entries:
                yield each.name, Kind.COLLECTION if each.is_dir() else Kind.DATA_OBJECT

    def first_unreadable(self, paths: Iterable[str]) -> str | None:
        """Return the first path of the data root that the server's account may not read."""
        to_filesystem = super().filesystem_path
        return next((path for path in paths if not os.access(to_filesystem(path), os.R_OK)), None)

    def open_read(self, path: str, start: int) -> Any:
        """Open a plain file; a pipe is refused, since opening it would block for ever."""
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return super().open_read(path, start)

    def move_object(
        self, source: str, target: str, *, replace: bool, keep_metadata: bool = False
    ) -> None:
        """Move a file atomically."""
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
        """Return the metadata in the extended attribute."""
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

    def free_bytes(self) -> int | None:
        """Return the free bytes of the disk."""
        return shutil.disk_usage(self.base or "/").free

    def version(self) -> str:
        """Return ``folder``, after checking that it is there."""
        os.scandir(self.base or "/").close()
        return "folder"


def _as_attribute_error(exc: OSError) -> Exception:
    if exc.errno in {errno.ENOTSUP, errno.EOPNOTSUPP}:
        return NotImplementedError("the disk of this folder keeps no extended attributes")
    return exc
