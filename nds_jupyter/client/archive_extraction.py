"""Safe extraction of untrusted result archives.

What is in a container is not trusted: names that leave the folder, links, devices and endless
archives are passed over or refused, and nothing is written through a link that is there.
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
MOST_HEADER = 2**20
"""Bytes of one extended header; tarfile holds it in memory."""


class ExtractionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and what was passed over: name and why."""

    files: tuple[Path, ...]
    skipped: tuple[tuple[str, str], ...]


class _Readable:
    """A file over an iterable of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts = [self._rest]
        held = len(self._rest)
        while held < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            held += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


class _CheckedInfo(tarfile.TarInfo):
    """A member whose extended headers are bounded."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > MOST_HEADER:
            raise TooLarge("The archive has a header that is too long to be read.")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def open_archive(chunks: Iterable[bytes]) -> tarfile.TarFile:
    """Open a tar stream that can only be read once, forward."""
    source: Any = _Readable(chunks)
    return tarfile.open(fileobj=source, mode="r|", tarinfo=_CheckedInfo, errorlevel=2)


def list_files(chunks: Iterable[bytes], most_entries: int = MAX_ENTRIES) -> list[tuple[str, int]]:
    """Return name and size in bytes of every plain file of a tar stream.

    Raises
    ------
    TooLarge
        If it has more entries.
    NdsError
        If the stream ends early.
    """
    files = []
    with _whole(), open_archive(chunks) as archive:
        for member in _members(archive, most_entries):
            if member.isreg():
                files.append((member.name.partition("/")[2], member.size))
    return files


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Say in a sentence that an archive ended early, or can't be written."""
    try:
        yield
    except OSError as exc:
        raise NdsError(f"{exc.filename} can't be written: {exc.strerror}.") from exc
    except (tarfile.TarError, EOFError) as exc:
        raise NdsError("The results ended early, so they are not complete. Try again.") from exc


def _members(archive: tarfile.TarFile, most_entries: int) -> Iterator[tarfile.TarInfo]:
    """Yield members, keeping none."""
    for count, member in enumerate(archive, 1):
        if count > most_entries:
            raise TooLarge(f"The results have more than {most_entries} entries.")
        # tarfile would keep every member it has seen.
        archive.members = []  # type: ignore[attr-defined]
        yield member


def unpack(
    chunks: Iterable[bytes],
    into: Path,
    *,
    most_entries: int = MAX_ENTRIES,
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
    with _whole(), open_archive(chunks) as archive:
        for member in _members(archive, most_entries):
            why = _refusal(member)
            target = None if why else _target(root, member)
            if why or target is None:
                skipped.append((member.name, why or "a link is in its way"))
            elif member.isreg() and target != root:
                _write(archive, member, target, overwrite=overwrite)
                files.append(target)
            elif member.isdir():
                target.mkdir(parents=True, exist_ok=True)
    return ExtractionResult(files=tuple(files), skipped=tuple(skipped))


def _refusal(member: tarfile.TarInfo) -> str:
    parts = PurePosixPath(member.name).parts
    if not (member.isreg() or member.isdir()):
        return "a link" if member.issym() or member.islnk() else "not a plain file"
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        return "its name leaves the folder"
    return ""


def _target(root: Path, member: tarfile.TarInfo) -> Path | None:
    """Return where a member goes; None if a link or file stands in its way."""
    parts = PurePosixPath(member.name).parts
    where = root
    # A lone name is the folder itself, or the one file that was asked for.
    for part in parts if len(parts) == 1 and member.isreg() else parts[1:]:
        if where.is_symlink() or (where.exists() and not where.is_dir()):
            return None
        where = where / part
    return None if where.is_symlink() else where


def _write(
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
