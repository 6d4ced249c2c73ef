"""Incremental reader of tar streams: headers, and as much of the content as is wanted."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator

from nds_jupyter.errors import EngineError

BLOCK = 512
MOST_HEADER = 2**20
"""Bytes of an extended header; a longer one is refused, since it must be held in memory."""

_LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)


class TarReader:
    """Reads an asynchronous stream by amounts."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    async def some(self, most: int) -> memoryview:
        """Return the next bytes, at most so many; EngineError if the stream has ended."""
        while not self._rest:
            try:
                self._rest = memoryview(await anext(self._chunks))
            except StopAsyncIteration:
                raise EngineError("The archive ended early. Try again.") from None
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken

    async def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        parts = bytearray()
        while len(parts) < size:
            parts += await self.some(size - len(parts))
        return bytes(parts)

    async def content(self, size: int) -> AsyncGenerator[bytes, None]:
        """Yield so many bytes as they come."""
        while size > 0:
            data = bytes(await self.some(size))
            size -= len(data)
            yield data

    async def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        while size > 0:
            size -= len(await self.some(size))

    async def member(self) -> tarfile.TarInfo | None:
        """Return the next member's header, long names resolved; None at the archive's end."""
        head = b""
        while True:
            block = await self.exactly(BLOCK)
            if block == bytes(BLOCK):
                return None
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            head += block
            if info.type not in _LONG:
                break
            if info.size > MOST_HEADER or len(head) > MOST_HEADER:
                raise EngineError("The archive has a header that is too long.")
            head += await self.exactly(padded(info.size))
        with tarfile.open(fileobj=io.BytesIO(head + bytes(2 * BLOCK)), mode="r:") as archive:
            found = archive.next()
        return found if found is not None else info

    async def rest(self) -> None:
        """Pass over everything that is left."""
        async for _ in self._chunks:
            pass


def padded(size: int) -> int:
    """Return the bytes that a content takes in an archive."""
    return -(-size // BLOCK) * BLOCK


def content_size(info: tarfile.TarInfo) -> int:
    """Return the bytes that follow a member's header."""
    return padded(info.size) if info.isreg() else 0
