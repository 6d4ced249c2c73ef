"""Conversion of an engine's tar stream into tar.gz, zip, or the content of one file.

Memory is bounded: chunks pass through, and compression runs in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import io
import re
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import quote

import msgspec

from nds_jupyter.archives.tar import BLOCK, TarReader, content_size
from nds_jupyter.errors import InvalidRequest, PathNotFound

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_EARLIEST_ZIP = (1980, 1, 1, 0, 0, 0)


class ResultFormat(enum.StrEnum):
    """How results are delivered."""

    TAR = "tar"
    TAR_GZ = "tar.gz"
    ZIP = "zip"
    RAW = "raw"


class RangeNotSatisfiable(InvalidRequest):
    """The range begins after the end."""

    code = "range_not_satisfiable"
    reason = "range not satisfiable"


class ArchiveEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an archive; `kind` is ``file``, ``dir``, ``link`` or ``other``, `size` bytes."""

    name: str
    size: int
    kind: str
    modified: datetime


class TarFileMember:
    """Regular file that is the first member of a tar stream."""

    def __init__(self, reader: TarReader, info: tarfile.TarInfo) -> None:
        self._reader = reader
        self.size = info.size
        self.modified = datetime.fromtimestamp(info.mtime, UTC)

    async def read(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Read the bytes from `start` to before `stop`."""
        await self._reader.skip(start)
        remaining = stop - start
        while remaining > 0:
            data = bytes(await self._reader.read_some(remaining))
            remaining -= len(data)
            yield data


async def open_single_file(tar: AsyncIterator[bytes]) -> TarFileMember:
    """Open the only file of a tar stream.

    Raises
    ------
    InvalidRequest
        If it is a folder, a link or a device.
    PathNotFound
        If the archive is empty.
    """
    reader = TarReader(tar)
    info = await reader.next_member()
    if info is None:
        raise PathNotFound("There is nothing at that path.")
    if not info.isreg():
        raise InvalidRequest(f"format: {info.name!r} is no plain file. Ask for tar or zip.")
    return TarFileMember(reader, info)


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return start and stop of a single byte range (RFC 9110, 14.1.2), or None for the whole.

    Raises
    ------
    RangeNotSatisfiable
        If nothing of it exists.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiable(f"Range: the file has {size} bytes.")
    return start, stop


def content_disposition(filename: str) -> str:
    """Return an attachment header that is safe for any file name (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", filename)
    coded = quote(filename.encode("utf-8", "surrogateescape"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"


async def list_entries(tar: AsyncIterator[bytes], limit: int) -> tuple[ArchiveEntry, ...]:
    """List the first members of a tar stream, without their content."""
    reader = TarReader(tar)
    entries: list[ArchiveEntry] = []
    while len(entries) < limit and (info := await reader.next_member()) is not None:
        entries.append(_entry(info))
        await reader.skip(content_size(info))
    return tuple(entries)


def _entry(info: tarfile.TarInfo) -> ArchiveEntry:
    kind = "file" if info.isreg() else "dir" if info.isdir() else "other"
    return ArchiveEntry(
        name=info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        size=info.size,
        kind="link" if info.issym() or info.islnk() else kind,
        modified=datetime.fromtimestamp(info.mtime, UTC),
    )


async def convert(
    tar: AsyncGenerator[bytes, None], result_format: ResultFormat
) -> AsyncGenerator[bytes, None]:
    """Turn a tar stream into another format, and close it at the end."""
    try:
        if result_format is ResultFormat.TAR:
            async for chunk in tar:
                yield chunk
        elif result_format is ResultFormat.TAR_GZ:
            async for chunk in _gzip(tar):
                yield chunk
        else:
            async for chunk in _zip(tar):
                yield chunk
    finally:
        await tar.aclose()


async def concatenate_tars(
    tars: Iterable[tuple[str, AsyncGenerator[bytes, None]]],
) -> AsyncGenerator[bytes, None]:
    """Concatenate several tar streams into one, and close each at its end.

    Parameters
    ----------
    tars
        Each with a prefix for its names, such as ``results/plots/``.
    """
    for prefix, tar in tars:
        async with contextlib.aclosing(tar):
            reader = TarReader(tar)
            while (info := await reader.next_member()) is not None:
                yield _renamed_header(info, prefix)
                remaining = content_size(info)
                while remaining > 0:
                    data = bytes(await reader.read_some(remaining))
                    remaining -= len(data)
                    yield data
    yield bytes(2 * BLOCK)


def _renamed_header(info: tarfile.TarInfo, prefix: str) -> bytes:
    info.name = prefix + info.name
    if info.islnk():
        info.linkname = prefix + info.linkname
    # A long name is also in an extended header, which would take precedence.
    names = {"path", "linkpath"}
    info.pax_headers = {key: text for key, text in info.pax_headers.items() if key not in names}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


async def _gzip(tar: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    async for chunk in tar:
        if packed := await asyncio.to_thread(packer.compress, chunk):
            yield packed
    yield packer.flush()


class _OutputBuffer(io.RawIOBase):
    """Write-only file whose content is taken out between writes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data, self._parts = b"".join(self._parts), []
        return data


async def _zip(tar: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Convert to a zip of folders and plain files; links and devices are not safe in one."""
    reader = TarReader(tar)
    buffer = _OutputBuffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        while (info := await reader.next_member()) is not None:
            entry = _zip_entry(info)
            if entry is None:
                await reader.skip(content_size(info))
                continue
            with archive.open(entry, "w", force_zip64=info.size >= 2**31 - 1) as member:
                remaining = info.size if info.isreg() else 0
                while remaining > 0:
                    data = await reader.read_some(remaining)
                    remaining -= len(data)
                    await asyncio.to_thread(member.write, data)
                    if packed := buffer.take():
                        yield packed
            await reader.skip(content_size(info) - (info.size if info.isreg() else 0))
    yield buffer.take()


def _zip_entry(info: tarfile.TarInfo) -> zipfile.ZipInfo | None:
    name = info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    parts = [part for part in PurePosixPath(name).parts if part not in {"/", ".."}]
    if not parts or not (info.isreg() or info.isdir()):
        return None
    moment = max(_EARLIEST_ZIP, time.gmtime(info.mtime)[:6])
    entry = zipfile.ZipInfo("/".join(parts) + ("/" if info.isdir() else ""), moment)
    kind = stat.S_IFDIR if info.isdir() else stat.S_IFREG
    entry.external_attr = (kind | (info.mode & 0o777)) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
