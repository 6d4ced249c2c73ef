"""A proxy between a server and its engine's socket, which can be told to lose what it carries.

A request is known by its first line, ``PUT /v1.41/containers/…``. One that is held back never
reaches the engine; one whose answer is held back does, and nobody hears what came of it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.byte_proxy import PIECE, ByteProxy, both_ways, end

VERBS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ")


@pytest.fixture
def proxy(docker_engine_url: str, tmp_path: Path) -> Iterator[EngineProxy]:
    """Give a proxy in front of the real engine."""
    socket = Path(docker_engine_url.removeprefix("unix://"))
    with EngineProxy(tmp_path / "engine.sock", socket).serving() as proxy:
        yield proxy


class _Muted(threading.Event):
    """Set where an answer is held back, after so many bytes of it."""

    passes = 0

    def passing(self, data: bytes) -> bytes:
        """Return what of the next bytes comes through."""
        if not self.is_set():
            return data
        passed = data[: self.passes]
        self.passes -= len(passed)
        return passed


class EngineProxy(ByteProxy):
    """A proxy in front of an engine.

    Parameters
    ----------
    path
        Where it listens.
    engine
        The engine's socket.

    Attributes
    ----------
    held
        Set once something is held back.
    """

    def __init__(self, path: Path, engine: Path) -> None:
        super().__init__(path, engine)
        self.held = threading.Event()
        self._before: re.Pattern[bytes] | None = None
        self._after: re.Pattern[bytes] | None = None
        self._passes = 0
        self._header = b""
        self._released = threading.Event()
        self._muted: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"unix://{self.address}"

    def stop(self) -> None:
        self.release()
        super().stop()

    def hold_request(self, pattern: str, header: str = "") -> None:
        """Keep the next requests like this from the engine.

        Parameters
        ----------
        header
            A line of headers that such a request has.
        """
        self._before = re.compile(pattern.encode())
        self._header = header.encode().lower()
        self._begin_holding()

    def hold_answer(self, pattern: str, after: int = 0) -> None:
        """Keep the answers to the next requests like this from who asked.

        Parameters
        ----------
        after
            Bytes of it that still come.
        """
        self._after = re.compile(pattern.encode())
        self._passes = after
        self._begin_holding()

    def _begin_holding(self) -> None:
        self.held.clear()
        self._released.clear()

    def release(self) -> None:
        """Hold nothing back any more; what was held is lost."""
        self._before = self._after = None
        self._released.set()
        with self._lock:
            for each in self._muted & self._open:
                end(each, socket.SHUT_RDWR)
            self._muted.clear()

    def carry(self, client: socket.socket, server: socket.socket, number: int) -> None:
        muted = _Muted()

        def requests() -> None:
            with contextlib.suppress(OSError):
                self._forward(client, server, muted)
            end(server, socket.SHUT_RDWR if muted.is_set() else socket.SHUT_WR)

        both_ways(requests, lambda: self._answer(server, client, muted))

    def _forward(self, client: socket.socket, engine: socket.socket, muted: _Muted) -> None:
        """Forward requests until the client has no more, or one was held back."""
        while data := client.recv(PIECE):
            line = data.partition(b"\r\n")[0] if data.startswith(VERBS) else b""
            asked = self._before is not None and self._before.search(line)
            if asked and self._header in data.lower():
                muted.set()
                self.held.set()
                self._released.wait()
                return
            if self._after is not None and self._after.search(line):
                muted.passes = self._passes
                muted.set()
                with self._lock:
                    self._muted.add(client)
            # The body of a request whose answer is held back may come later than its head.
            engine.sendall(data)

    def _answer(self, engine: socket.socket, client: socket.socket, muted: _Muted) -> None:
        with contextlib.suppress(OSError):
            while data := engine.recv(PIECE):
                passed = muted.passing(data)
                client.sendall(passed)
                if len(passed) < len(data):
                    self.held.set()
        end(client, socket.SHUT_WR)
