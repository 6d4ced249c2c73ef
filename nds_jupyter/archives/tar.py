"""Incremental reader of tar streams: headers, and as much of the content as the caller reads."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator

from nds_jupyter.errors import EngineError

BLOCK = 512
MAX_HEADER_BYTES = 2**20
"""Bytes of an extended header; a longer one is refused, since it has to fit in memory."""

_EXTENDED_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
)


class TarReader:
    """Reader of the members of an asynchronous tar stream."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    async def read_some(self, max_size: int) -> memoryview:
        """Return the next bytes, at most so many; EngineError if the stream has ended."""
        while not self._rest:
            try:
                self._rest = memoryview(await anext(self._chunks))
            except StopAsyncIteration:
                raise EngineError("The archive ended early. Try again.") from None
        data, self._rest = self._rest[:max_size], self._rest[max_size:]
        return data

    async def read_exactly(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        parts = bytearray()
        while len(parts) < size:
            parts += await self.read_some(size - len(parts))
        return bytes(parts)

    async def read_content(self, size: int) -> AsyncGenerator[bytes, None]:
        """Yield exactly so many bytes, in chunks as they arrive."""
        while size > 0:
            data = bytes(await self.read_some(size))
            size -= len(data)
            yield data

    async def skip(self, size: int) -> None:
        """Skip so many bytes."""
        while size > 0:
            size -= len(await self.read_some(size))

    async def next_member(self) -> tarfile.TarInfo | None:
        """Return the next member's header, long names resolved; None at the archive's end."""
        head = b""
        while True:
            block = await self.read_exactly(BLOCK)
            if block == bytes(BLOCK):
                return None
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            head += block
            if info.type not in _EXTENDED_HEADERS:
                break
            if info.size > MAX_HEADER_BYTES or len(head) > MAX_HEADER_BYTES:
                raise EngineError("The archive has a header that is too long.")
            head += await self.read_exactly(padded_size(info.size))
        with tarfile.open(fileobj=io.BytesIO(head + bytes(2 * BLOCK)), mode="r:") as archive:
            resolved = archive.next()
        return resolved if resolved is not None else info


def padded_size(size: int) -> int:
    """Return the bytes that content of a size takes in an archive."""
    return -(-size // BLOCK) * BLOCK


def content_size(info: tarfile.TarInfo) -> int:
    """Return the bytes that follow a member's header."""
    return padded_size(info.size) if info.isreg() else 0
