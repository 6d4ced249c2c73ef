"""Records the messages that pass between a client and a server."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

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


class Recorder:
    """A port that passes everything on to a server and keeps the messages."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.messages: list[Message] = []
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Wait for the connections that the client closes, and end the others."""
        _shut(self._listener)
        acceptor, *passing = self._threads
        acceptor.join()
        for thread in passing:
            thread.join(timeout=CLOSING)
        for each in self._sockets:
            _shut(each)
        for thread in passing:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            number = len(self._sockets) // 2 + 1
            self._sockets += [client, server]
            for sender, source, target in (("client", client, server), ("server", server, client)):
                thread = threading.Thread(
                    target=self._pass_on, args=(number, sender, source, target), daemon=True
                )
                self._threads.append(thread)
                thread.start()

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
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


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


@contextmanager
def recording(server: tuple[str, int]) -> Iterator[Recorder]:
    """Record between clients and a server."""
    recorder = Recorder(server)
    try:
        yield recorder
    finally:
        recorder.close()
