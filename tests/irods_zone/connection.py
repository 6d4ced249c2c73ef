"""Messages of the iRODS protocol on a socket: header length, header, body, error, byte stream."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
from dataclasses import dataclass

CHUNK = 1 << 20
SHUTDOWN_TIMEOUT = 10.0
MAX_HEADER_BYTES = 4096
_LENGTH_FIELDS = {"body": b"msgLen", "error": b"errorLen", "stream": b"bsLen", "info": b"intInfo"}
_FIELD = re.compile(rb"<(type|msgLen|errorLen|bsLen|intInfo)>\s*([^<]*?)\s*</")


class ConnectionLost(ConnectionError):
    """The client went away, or a fault made it look so."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of a message."""

    kind: str
    body: int
    error: int
    stream: int
    info: int


class MessageConnection:
    """Connection that sends and receives messages."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._chunk = memoryview(bytearray(CHUNK))

    @property
    def peer(self) -> str:
        """The client's address."""
        return str(self._socket.getpeername()[0])

    @property
    def encrypted(self) -> bool:
        """Whether TLS protects the connection."""
        return isinstance(self._socket, ssl.SSLSocket)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS."""
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def receive_header(self) -> Header:
        """Wait for the next message's header."""
        (length,) = struct.unpack(">i", self.receive(4))
        if not 0 < length <= MAX_HEADER_BYTES:
            raise ConnectionLost(f"no header is {length} bytes long")
        found = dict(_FIELD.findall(self.receive(length)))
        try:
            sizes = {name: int(found[key]) for name, key in _LENGTH_FIELDS.items()}
            return Header(kind=found[b"type"].decode(), **sizes)
        except (KeyError, ValueError) as error:
            raise ConnectionLost("what came is no header") from error

    def receive(self, size: int) -> bytes:
        """Wait for `size` bytes."""
        data = bytearray(size)
        self._fill(memoryview(data))
        return bytes(data)

    def receive_into(self, descriptor: int, offset: int, size: int) -> None:
        """Write the next `size` bytes to a file."""
        while size:
            part = self._chunk[: min(size, CHUNK)]
            self._fill(part)
            os.pwrite(descriptor, part, offset)
            offset += len(part)
            size -= len(part)

    def discard(self, size: int) -> None:
        """Read past `size` bytes."""
        while size:
            part = self._chunk[: min(size, CHUNK)]
            self._fill(part)
            size -= len(part)

    def send(
        self, kind: str, info: int, body: str = "", error: str = "", stream: bytes = b""
    ) -> None:
        """Send one message."""
        packed, failed = body.encode(), error.encode()
        start = _header(kind, info, len(packed), len(failed), len(stream))
        self._socket.sendall(b"".join((start, packed, failed, stream)))

    def send_file(self, info: int, descriptor: int, offset: int, size: int, delivered: int) -> None:
        """Send a reply whose byte stream is a piece of a file, but only what passes of it."""
        self._socket.sendall(_header("RODS_API_REPLY", info, 0, 0, size))
        end = offset + delivered
        while offset < end:
            if isinstance(self._socket, ssl.SSLSocket):
                sent = self._send_piece(descriptor, offset, end - offset)
            else:
                sent = os.sendfile(self._socket.fileno(), descriptor, offset, end - offset)
            if not sent:
                raise ConnectionLost("the file became shorter while it was sent")
            offset += sent

    def finish_tls(self) -> None:
        """Close TLS in order: a client that waits for that would see an error."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(SHUTDOWN_TIMEOUT)
            self._socket = self._socket.unwrap()

    def interrupt(self) -> None:
        """End the connection under a thread that waits for a message."""
        with contextlib.suppress(OSError):  # The peer was quicker.
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self.interrupt()
        self._socket.close()

    def _send_piece(self, descriptor: int, offset: int, size: int) -> int:
        data = os.pread(descriptor, min(size, CHUNK), offset)
        self._socket.sendall(data)
        return len(data)

    def _fill(self, view: memoryview) -> None:
        while view:
            received = self._socket.recv_into(view)
            if not received:
                raise ConnectionLost("the client closed the connection")
            view = view[received:]


def _header(kind: str, info: int, body: int, error: int, stream: int) -> bytes:
    header = (
        f"<MsgHeader_PI>\n<type>{kind}</type>\n<msgLen>{body}</msgLen>\n"
        f"<errorLen>{error}</errorLen>\n<bsLen>{stream}</bsLen>\n"
        f"<intInfo>{info}</intInfo>\n</MsgHeader_PI>\n"
    ).encode()
    return struct.pack(">i", len(header)) + header
