"""Reader of streamed HTTP bodies from their sockets, with chunks decoded in bulk."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from nds_jupyter.engines.base import BytesLike
from nds_jupyter.engines.docker.sdk_errors import translate_errors
from nds_jupyter.engines.docker.thread_streams import BlockingByteStream
from nds_jupyter.errors import EngineUnavailable

READ_SIZE = 256 * 1024

LARGE_CHUNK = 4096
"""Bytes from which a chunk is not worth a copy."""


class BodyReader(BlockingByteStream):
    """Body of a streamed response, read straight from its socket.

    The SDK's generator costs a Python call chain for every HTTP chunk, and the engine makes one of
    every log line. Here whole buffers are read, and chunks are decoded in bulk.

    Parameters
    ----------
    client
        Closed at the end.
    has_ended
        Called after `IDLE_SECONDS` seconds of silence; true ends the stream. The engine can leave a
        followed log open though its container has ended.
    buffer_size
        Bytes that are collected before they are passed on: every piece costs a change of threads
        and a wait for the reader's socket. 0 passes on what comes when it comes.
    """

    IDLE_SECONDS = 5.0

    def __init__(
        self, client: Any, response: Any, has_ended: Any = None, *, buffer_size: int = 0
    ) -> None:
        self._client = client
        self._buffer_size = buffer_size
        self._response = response
        self._has_ended = has_ended
        self._file = response.raw._fp.fp
        self._socket = getattr(getattr(self._file, "raw", None), "_sock", None)
        self._decoder = ChunkDecoder() if response.raw.chunked else None
        # A short response has a length instead of chunks, and the connection stays open after it.
        length = response.headers.get("Content-Length")
        self._left = None if self._decoder or length is None else int(length)
        self._aborted = False
        self._buffered = True
        if self._socket is not None:
            # The deadline was for the beginning of the response; a log may be silent for days.
            self._socket.settimeout(None)
        plain = isinstance(self._socket, socket.socket)
        self._plain = plain and not isinstance(self._socket, ssl.SSLSocket)

    def __iter__(self) -> Iterator[bytes]:
        if self._buffer_size:
            return join_buffers(chain.from_iterable(self.buffers()), self._buffer_size)
        return (b"".join(parts) for parts in self.buffers())

    def buffers(self) -> Iterator[list[BytesLike]]:
        """Yield what has come, as it lies in memory."""
        with translate_errors("The stream"):
            try:
                yield from filter(None, self._bodies())
            except (OSError, ValueError):
                if not self._aborted:
                    raise
            finally:
                self.close()

    def __next__(self) -> bytes:
        raise NotImplementedError

    def _bodies(self) -> Iterator[list[BytesLike]]:
        while not self._aborted and self._left != 0:
            data = self._read()
            if data is None:
                return
            if not data:
                self._check_end()
                return
            if self._decoder is None:
                self._left = None if self._left is None else self._left - len(data)
                yield [data]
                continue
            yield self._decoder.feed(data)
            if self._decoder.ended:
                return

    def _check_end(self) -> None:
        """Raise unless the response is complete: the connection may have been cut."""
        if not self._aborted and (self._decoder is not None or self._left):
            raise EngineUnavailable("The Docker Engine broke off its answer. Try again.")

    def _read(self) -> bytes | None:
        """Return what has come: nothing at the connection's end, None to end the stream here."""
        if not self._plain or self._socket is None:
            return bytes(self._file.read1(READ_SIZE))
        if self._buffered:
            self._buffered = False
            self._socket.setblocking(False)
            held = self._file.peek(1)
            self._socket.setblocking(True)
            if held:
                return bytes(self._file.read1(len(held)))
        while not select.select([self._socket], [], [], self.IDLE_SECONDS)[0]:
            if self._aborted or (self._has_ended is not None and self._has_ended()):
                return None
        return bytes(self._socket.recv(READ_SIZE))

    def abort(self) -> None:
        """End the stream, also a read that blocks."""
        if self._aborted:
            return
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the connection."""
        self.abort()
        self._response.close()
        self._client.close()


def join_buffers(parts: Iterable[BytesLike], size: int) -> Iterator[bytes]:
    """Join buffers into pieces of at least so many bytes; the last may be shorter."""
    held: list[BytesLike] = []
    length = 0
    for part in parts:
        held.append(part)
        length += len(part)
        if length >= size:
            yield b"".join(held)
            held.clear()
            length = 0
    if held:
        yield b"".join(held)


class ChunkDecoder:
    """Decoder of HTTP chunks (RFC 9112, 7.1), many at a time."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        self.ended = False

    def feed(self, data: bytes) -> list[BytesLike]:
        """Return the bodies in what has come.

        Small chunks, the lines of a log, are buffered until they are whole. Of large ones, the
        pieces of an archive, a view of what is there is returned: there are too many bytes in them
        to be copied at every step.
        """
        data = self._rest + data
        view = memoryview(data)
        parts: list[BytesLike] = []
        at = self._take_of_large_chunk(view, 0, parts)
        while not self._left and (line := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:line].partition(b";")[0], 16)
            body = line + 2
            if size == 0:
                self.ended = True
                break
            if body + size + 2 <= len(data):
                parts.append(
                    data[body : body + size] if size < LARGE_CHUNK else view[body : body + size]
                )
                at = body + size + 2
            elif size >= LARGE_CHUNK:
                self._left = size + 2
                at = self._take_of_large_chunk(view, body, parts)
            else:
                break
        self._rest = data[at:]
        return parts

    def _take_of_large_chunk(self, view: memoryview, at: int, parts: list[BytesLike]) -> int:
        """Add what is there of a large chunk, without the line end that closes it."""
        there = min(self._left, len(view) - at)
        if (body := min(there, self._left - 2)) > 0:
            parts.append(view[at : at + body])
        self._left -= there
        return at + there
