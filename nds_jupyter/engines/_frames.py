"""The engine's framing of a log: eight bytes of header, then the payload.

Byte 0 is the stream (1 stdout, 2 stderr), bytes 4 to 7 the payload's size, big-endian (Engine API,
"Attach to a container", stream format).
"""

from __future__ import annotations

from nds_jupyter.engines.base import LogChunk, LogStream

HEADER = 8
_STREAMS = {0: LogStream.STDOUT, 1: LogStream.STDOUT, 2: LogStream.STDERR}


class FrameReader:
    """Makes chunks of one stream each from the bytes of a framed log, however they are split."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return what is complete, frames of one stream in a row as one chunk."""
        data = self._rest + data if self._rest else data
        chunks: list[LogChunk] = []
        parts: list[bytes] = []
        stream = -1
        start, size = 0, len(data)
        # Reading 150,000 frames a second: nothing here may cost more than it must.
        while start + HEADER <= size:
            body = start + HEADER
            end = body + int.from_bytes(data[start + 4 : body], "big")
            if end > size:
                break
            if data[start] != stream:
                if parts:
                    chunks.append(_chunk(stream, parts))
                parts = []
                stream = data[start]
            parts.append(data[body:end])
            start = end
        if parts:
            chunks.append(_chunk(stream, parts))
        self._rest = data[start:]
        return chunks


def _chunk(stream: int, parts: list[bytes]) -> LogChunk:
    return LogChunk(stream=_STREAMS.get(stream, LogStream.STDOUT), data=b"".join(parts))
