"""Upload of local files for a job, addressed by their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import IO, Any

from nds_jupyter.client.transport import Transport
from nds_jupyter.rest import routes
from nds_jupyter.rest.views import FileView

PIECE = 2**20

SMALL = 64 * 2**10
"""Bytes up to which a file is sent without asking whether the server has it."""

PATIENCE = 600.0
"""Seconds for the answer to a file that was sent: by then it is verified."""

Source = str | PathLike[str] | bytes
"""The path of a file, or its content."""

Progress = Callable[[str, int, int], object]
"""Told what a file is called, the bytes that have passed, and those there are."""


def silent(name: str, done: int, total: int) -> None:
    """Tell nobody."""
    del name, done, total


class LocalFile:
    """One file, open until it is sent.

    Parameters
    ----------
    to
        Its absolute path in the container, or a plain name in ``/nds/in``.
    file
        Can seek.
    sha256
        Hexadecimal digest of its content.
    """

    def __init__(self, to: str, file: IO[bytes], *, size: int, sha256: str) -> None:
        self.to = to
        self.size = size
        self.sha256 = sha256
        self._file = file

    @classmethod
    def of(cls, to: str, source: Source) -> LocalFile:
        """Open a file and read it once, for its digest."""
        if isinstance(source, bytes):
            digest = hashlib.sha256(source).hexdigest()
            return cls(to, io.BytesIO(source), size=len(source), sha256=digest)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(Path(source).open("rb"))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            local = cls(to, file, size=file.tell(), sha256=digest)
            stack.pop_all()
        return local

    @property
    def name(self) -> str:
        """What it is called in the container."""
        return self.to.rpartition("/")[2]

    def row(self) -> dict[str, str]:
        """Return what a request says of it."""
        return {"sha256": self.sha256, "to": self.to}

    def content(self) -> bytes:
        """Return all of it, for a small one."""
        self._file.seek(0)
        return self._file.read()

    def pieces(self, progress: Progress) -> Generator[bytes, None, None]:
        """Yield its content, telling how far it is; what `progress` raises ends it."""
        self._file.seek(0)
        done = 0
        progress(self.name, done, self.size)
        while data := self._file.read(PIECE):
            yield data
            done += len(data)
            progress(self.name, done, self.size)

    def close(self) -> None:
        """Close it."""
        self._file.close()


@contextlib.contextmanager
def opened(files: Mapping[str, Source | LocalFile] | None) -> Iterator[Sequence[LocalFile]]:
    """Give the files of a request, by their place in the container; closed at the end."""
    with contextlib.ExitStack() as stack:
        found = []
        for to, source in (files or {}).items():
            file = source if isinstance(source, LocalFile) else LocalFile.of(to, source)
            stack.callback(file.close)
            found.append(file)
        yield found


def send(transport: Transport, files: Sequence[LocalFile], progress: Progress) -> None:
    """Send the files that the server does not have yet.

    Raises
    ------
    TooLarge
        If the server does not take one.
    """
    # Not before it is needed: loading the magics should not take longer than a blink.
    import httpx

    for file in files:
        route = routes.FILE.format(sha256=file.sha256)
        if file.size > SMALL and transport.has(route):
            continue
        headers = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
        pieces = file.pieces(progress)
        # A server that takes nothing for a while is away; one that has all of it verifies it.
        timeout = httpx.Timeout(30.0, read=PATIENCE)
        request: dict[str, Any] = {"content": pieces, "headers": headers, "timeout": timeout}
        try:
            transport.call("PUT", route, FileView, **request)
            progress(file.name, file.size, file.size)
        finally:
            pieces.close()
