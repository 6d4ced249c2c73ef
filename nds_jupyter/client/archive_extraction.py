"""Safe extraction of untrusted result archives.

What is in a container is not trusted: names that leave the folder, links, devices and endless
archives are skipped or refused, and nothing is written through a link that is there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from nds_jupyter.errors import Conflict, NdsError, TooLarge

MAX_ENTRIES = 100_000
MAX_HEADER_SIZE = 2**20
"""Bytes of one extended header; tarfile holds it in memory."""


class ExtractionResult(msgspec.Struct, frozen=True, kw_only=True):
    """Files that were written, and members that were skipped: name and reason."""

    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]


class _ChunkReader:
    """Readable file over an iterable of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts = [self._rest]
        size_read = len(self._rest)
        while size_read < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            size_read += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


class _LimitedTarInfo(tarfile.TarInfo):
    """Member of an archive whose extended headers have a limited size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED_HEADERS and self.size > MAX_HEADER_SIZE:
            raise TooLarge("The archive has a header that is too long to be read.")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


_EXTENDED_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def open_archive(chunks: Iterable[bytes]) -> tarfile.TarFile:
    """Open a tar stream that can only be read once, forward."""
    source: Any = _ChunkReader(chunks)
    return tarfile.open(fileobj=source, mode="r|", tarinfo=_LimitedTarInfo, errorlevel=2)


def list_files(chunks: Iterable[bytes], max_entries: int = MAX_ENTRIES) -> list[tuple[str, int]]:
    """Return name and size in bytes of every plain file of a tar stream.

    Raises
    ------
    TooLarge
        If it has more entries.
    NdsError
        If the stream ends early.
    """
    files = []
    with _extraction_errors(), open_archive(chunks) as archive:
        for member in _limited_members(archive, max_entries):
            if member.isreg():
                files.append((member.name.partition("/")[2], member.size))
    return files


@contextlib.contextmanager
def _extraction_errors() -> Iterator[None]:
    """Raise errors of the archive and the disk as sentences."""
    try:
        yield
    except OSError as exc:
        raise NdsError(f"{exc.filename} can't be written: {exc.strerror}.") from exc
    except (tarfile.TarError, EOFError) as exc:
        raise NdsError("The results ended early, so they are not complete. Try again.") from exc


def _limited_members(archive: tarfile.TarFile, max_entries: int) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, up to a number, without keeping them."""
    for count, member in enumerate(archive, 1):
        if count > max_entries:
            raise TooLarge(f"The results have more than {max_entries} entries.")
        # tarfile would keep every member it has seen.
        archive.members = []  # type: ignore[attr-defined]
        yield member


def extract_archive(
    chunks: Iterable[bytes],
    into: Path,
    *,
    max_entries: int = MAX_ENTRIES,
    overwrite: bool = False,
) -> ExtractionResult:
    """Write the plain files and folders of a tar stream under a folder.

    Parameters
    ----------
    chunks
        The stream; the first part of every name (``results/``) is dropped.
    into
        Made if it is not there.
    overwrite
        Whether files that exist are replaced.

    Raises
    ------
    TooLarge
        If it has more entries, or more bytes than the disk has room for.
    Conflict
        If a file exists.
    NdsError
        If the stream ends early.
    """
    into.mkdir(parents=True, exist_ok=True)
    root = into.resolve()
    files: list[Path] = []
    skipped: list[tuple[str, str]] = []
    with _extraction_errors(), open_archive(chunks) as archive:
        for member in _limited_members(archive, max_entries):
            reason = _skip_reason(member)
            target = None if reason else _target_path(root, member)
            if reason or target is None:
                skipped.append((member.name, reason or "a link is in its way"))
            elif member.isreg() and target != root:
                _extract_file(archive, member, target, overwrite=overwrite)
                files.append(target)
            elif member.isdir():
                target.mkdir(parents=True, exist_ok=True)
    return ExtractionResult(files=tuple(files), skipped=tuple(skipped))


def _skip_reason(member: tarfile.TarInfo) -> str:
    parts = PurePosixPath(member.name).parts
    if not (member.isreg() or member.isdir()):
        return "a link" if member.issym() or member.islnk() else "not a plain file"
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        return "its name leaves the folder"
    return ""


def _target_path(root: Path, member: tarfile.TarInfo) -> Path | None:
    """Return the path that a member is written to; None if a link or file is in its way."""
    parts = PurePosixPath(member.name).parts
    path = root
    # A lone name is the folder itself, or the one file that was asked for.
    for part in parts if len(parts) == 1 and member.isreg() else parts[1:]:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            return None
        path = path / part
    return None if path.is_symlink() else path


def _extract_file(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, *, overwrite: bool
) -> None:
    if target.exists() and not overwrite:
        raise Conflict(f"{target} exists. Choose another folder, or ask to overwrite.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.size > shutil.disk_usage(target.parent).free:
        raise TooLarge(f"There is no room for {target.name}: it has {member.size} bytes.")
    part = target.parent / f".nds-{os.getpid()}-{abs(hash(target.name)):x}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        # What it opens may be a descriptor, which it closes.
        archive.makefile(member, descriptor)  # type: ignore[arg-type]
        part.chmod(member.mode & 0o755 | 0o600)
        part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
