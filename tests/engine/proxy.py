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

VERBS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ")
PIECE = 64 * 1024


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


class EngineProxy:
    """Carries bytes between a socket of its own and an engine's.

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
        self.path = path
        self.held = threading.Event()
        self._engine = engine
        self._before: re.Pattern[bytes] | None = None
        self._after: re.Pattern[bytes] | None = None
        self._passes = 0
        self._header = b""
        self._released = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"unix://{self.path}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[EngineProxy]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._accept, name="engine-proxy", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.release()
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.cut()
            thread.join()

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

    def cut(self) -> None:
        """Cut every connection, as an engine that restarts."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            with self._lock:
                self._open |= {client, engine}
            with contextlib.suppress(OSError):
                engine.connect(str(self._engine))
                self._carry_between(client, engine)
            with self._lock:
                self._open -= {client, engine}

    def _carry_between(self, client: socket.socket, engine: socket.socket) -> None:
        muted = _Muted()
        back = threading.Thread(target=self._answer, args=(engine, client, muted), daemon=True)
        back.start()
        try:
            self._forward(client, engine, muted)
        finally:
            with contextlib.suppress(OSError):
                engine.shutdown(socket.SHUT_RDWR if muted.is_set() else socket.SHUT_WR)
            back.join()

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
                engine.sendall(data)
                self._released.wait()
                return
            engine.sendall(data)

    def _answer(self, engine: socket.socket, client: socket.socket, muted: _Muted) -> None:
        with contextlib.suppress(OSError):
            while data := engine.recv(PIECE):
                passed = muted.passing(data)
                client.sendall(passed)
                if len(passed) < len(data):
                    self.held.set()
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
