"""Records the messages that pass between a client and a server."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import time
from collections.abc import Callable
from functools import partial

import msgspec

from dev.jupyter import free_port
from tests.byte_proxy import ByteProxy, both_ways, end

_FIELD = re.compile(rb"<(type|msgLen|errorLen|bsLen|intInfo)>\s*([^<]*?)\s*</")
KEPT = 4096
CLOSING = 10.0


class Message(msgspec.Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """One message, as the transcripts write it."""

    conn: int
    sender: str
    type: str
    int_info: int
    msg: str
    error: str = ""
    bs_len: int = 0
    bs_base64: str = ""


class Recorder(ByteProxy):
    """A port that passes everything on to a server and keeps the messages."""

    def __init__(self, server: tuple[str, int], *, closing: float = CLOSING) -> None:
        self.port = free_port()
        super().__init__(("127.0.0.1", self.port), server)
        self.messages: list[Message] = []
        self._closing = closing

    def stop(self) -> None:
        """Wait for the connections that the client closes, and end the others."""
        deadline = time.monotonic() + self._closing
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        super().stop()

    def carry(self, client: socket.socket, server: socket.socket, number: int) -> None:
        both_ways(
            partial(self._pass_on, number, "client", client, server),
            partial(self._pass_on, number, "server", server, client),
        )

    def _pass_on(
        self, number: int, sender: str, source: socket.socket, target: socket.socket
    ) -> None:
        def receive(size: int) -> bytes:
            data = bytearray()
            while len(data) < size:
                piece = source.recv(size - len(data))
                if not piece:
                    raise ConnectionError
                data += piece
            return bytes(data)

        with contextlib.suppress(OSError):
            while True:
                raw, message = read_message(receive, number, sender)
                self.messages.append(message)
                target.sendall(raw)
        end(target, socket.SHUT_WR)


def read_message(
    receive: Callable[[int], bytes], number: int, sender: str
) -> tuple[bytes, Message]:
    """Read one message from a stream."""
    length = receive(4)
    header = receive(struct.unpack(">i", length)[0])
    found = dict(_FIELD.findall(header))
    body, error, stream = (receive(int(found[key])) for key in (b"msgLen", b"errorLen", b"bsLen"))
    kept = base64.b64encode(stream).decode() if len(stream) <= KEPT else ""
    return b"".join((length, header, body, error, stream)), Message(
        conn=number,
        sender=sender,
        type=found[b"type"].decode(),
        int_info=int(found[b"intInfo"]),
        msg=body.decode(),
        error=error.decode(),
        bs_len=len(stream),
        bs_base64=kept,
    )
