"""Connections to a Docker Engine: where it is, one client a thread, foreign errors to ours."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, cast

import docker
import requests
import urllib3
from docker import errors as docker_errors
from docker.utils import kwargs_from_env

from nds_jupyter.engines._streams import Source
from nds_jupyter.errors import (
    AmbiguousId,
    ContainerNotFound,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    ImageNotFound,
    NameTaken,
    NdsError,
    PathNotFound,
)

READ = 256 * 1024
_MISSING_PROGRAM = re.compile(r'exec: "?([^":]+)"?: (?:executable file not found|stat .*no such)')


class Clients:
    """Makes clients of one engine.

    Parameters
    ----------
    base_url
        None for DOCKER_HOST, else the current Docker context, else the default socket.
    deadline
        Seconds for a call.
    """

    def __init__(self, base_url: str | None, deadline: float) -> None:
        self._base_url = base_url
        self._deadline = deadline
        self._local = threading.local()
        self._version: str | None = None
        self._made: list[Any] = []

    def of_this_thread(self) -> Any:
        """Return this thread's client: one is not safe across threads."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self.new(self._deadline)
            self._made.append(client)
        return client

    def new(self, timeout: float | None) -> Any:
        """Return a new client; the API's version is asked for once."""
        where = self._where()
        if self._version is None:
            probe: Any = docker.APIClient(
                version="auto", timeout=cast("int", self._deadline), **where
            )
            self._version = probe.api_version
            probe.close()
        return docker.APIClient(version=self._version, timeout=cast("int", timeout), **where)

    def _where(self) -> dict[str, Any]:
        if self._base_url is not None:
            return {"base_url": self._base_url}
        named = kwargs_from_env()
        if "base_url" in named:
            return dict(named)
        context = docker.ContextAPI.get_current_context()
        if context is None or context.name == "default":
            return {}
        return {"base_url": context.Host, "tls": context.TLSConfig or False}

    def close(self) -> None:
        """Close the threads' clients."""
        for client in self._made:
            client.close()


@contextlib.contextmanager
def translated(what: str, missing: type[NdsError] = ContainerNotFound) -> Iterator[None]:
    """Turn whatever the SDK raises into our errors.

    Parameters
    ----------
    what
        The thing, as a sentence begins: ``The image python:3.11``.
    missing
        What a 404 means here.
    """
    try:
        yield
    except docker_errors.APIError as exc:
        raise _of_answer(exc, what, missing) from exc
    except (requests.Timeout, TimeoutError) as exc:
        raise DeadlineExceeded(f"{what}: the engine has not answered in time.") from exc
    except (
        docker_errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as exc:
        if "timed out" in str(exc):
            raise DeadlineExceeded(f"{what}: the engine has not answered in time.") from exc
        raise EngineUnavailable(
            "The Docker Engine does not answer. Start it, or set c.NdsApp.engine_url."
        ) from exc


def _of_answer(exc: docker_errors.APIError, what: str, missing: type[NdsError]) -> NdsError:
    said = str(exc.explanation or exc)
    status = exc.status_code
    program = _MISSING_PROGRAM.search(said)
    if program:
        return ImageNotFound(f"{what}: its image has no program {program[1]!r}.")
    if "multiple" in said.lower() and "prefix" in said.lower():
        return AmbiguousId(f"{what}: several containers have this prefix.")
    if "no space left" in said:
        return EngineError(f"{what}: the engine's disk is full. Free space there.")
    if status == 404 and "no such image" in said.lower():
        return ImageNotFound(f"{what}: the engine does not have it.")
    if status == 404:
        return missing(f"{what} does not exist.")
    if status == 409 and "already in use" in said:
        return NameTaken(f"{what} exists already.")
    return EngineError(f"{what}: the engine said: {said.strip()[:500]}")


class RawReader(Source[bytes]):
    """Reads the body of a streamed answer straight from its socket.

    The SDK's generator costs a Python call chain for every HTTP chunk, and the engine makes one of
    every log line. Here whole buffers are read, and chunks are taken apart in bulk.

    Parameters
    ----------
    client
        Closed at the end.
    idle
        Called after `IDLE` seconds of silence; true ends the stream. The engine can leave a
        followed log open though its container has ended.
    fill
        Bytes that are collected before they are given on: every piece costs a change of threads
        and a wait for the reader's socket. 0 gives on what comes when it comes.
    """

    IDLE = 5.0

    def __init__(self, client: Any, response: Any, idle: Any = None, *, fill: int = 0) -> None:
        self._client = client
        self._fill = fill
        self._response = response
        self._idle = idle
        self._file = response.raw._fp.fp
        self._socket = getattr(getattr(self._file, "raw", None), "_sock", None)
        self._dechunker = Dechunker() if response.raw.chunked else None
        # A short answer has a length instead of chunks, and the connection stays open after it.
        length = response.headers.get("Content-Length")
        self._left = None if self._dechunker or length is None else int(length)
        self._aborted = False
        self._buffered = True
        plain = isinstance(self._socket, socket.socket)
        self._plain = plain and not isinstance(self._socket, ssl.SSLSocket)

    def __iter__(self) -> Iterator[bytes]:
        with translated("The stream"):
            try:
                yield from filled(self._bodies(), self._fill) if self._fill else self._bodies()
            except (OSError, ValueError):
                if not self._aborted:
                    raise
            finally:
                self._close()

    def __next__(self) -> bytes:
        raise NotImplementedError

    def _bodies(self) -> Iterator[bytes]:
        while not self._aborted and self._left != 0:
            data = self._read()
            if not data:
                return
            if self._dechunker is None:
                self._left = None if self._left is None else self._left - len(data)
                yield data
                continue
            if body := self._dechunker.feed(data):
                yield body
            if self._dechunker.ended:
                return

    def _read(self) -> bytes:
        if not self._plain or self._socket is None:
            return bytes(self._file.read1(READ))
        if self._buffered:
            self._buffered = False
            self._socket.setblocking(False)
            held = self._file.peek(1)
            if held:
                return bytes(self._file.read1(len(held)))
        self._socket.setblocking(True)
        while not select.select([self._socket], [], [], self.IDLE)[0]:
            if self._aborted or (self._idle is not None and self._idle()):
                return b""
        return bytes(self._socket.recv(READ))

    def abort(self) -> None:
        """End the stream, also a read that blocks."""
        if self._aborted:
            return
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        self.abort()
        self._response.close()
        self._client.close()


def filled(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Join parts to pieces of at least so many bytes; the last may be shorter."""
    held: list[bytes] = []
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


class Dechunker:
    """Takes HTTP chunks apart (RFC 9112, 7.1), many at a time."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the bodies that are complete."""
        data = self._rest + data if self._rest else data
        parts: list[bytes] = []
        start = 0
        while (line := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:line].partition(b";")[0], 16)
            body = line + 2
            if size == 0:
                self.ended = True
                break
            if body + size + 2 > len(data):
                break
            parts.append(data[body : body + size])
            start = body + size + 2
        self._rest = data[start:]
        return b"".join(parts)


def missing_path(container: str, path: str) -> PathNotFound:
    """Return the error for a path that a container does not have."""
    return PathNotFound(f"There is no {path} in container {container[:12]}.")
