"""Hands a script to the container that waits for it, by the container's input.

An engine starts a process of its own for each archive that it unpacks, which costs more than all
the rest of a short job. The shell that reads the input of a container (`starter.py`) writes small
files for next to nothing, where it runs as root. What does not go this way is put by an archive.
"""

from __future__ import annotations

import asyncio
import io
import posixpath
import shlex
import tarfile
import time

from nds_jupyter.engines.swarm.node_engine import NodeEngine
from nds_jupyter.engines.swarm.starter import GO_PATH, HANDED_PATH
from nds_jupyter.errors import EngineError, EngineUnavailable

MOST = 16 * 1024
"""Bytes of an archive's files: some shells read their input byte by byte."""

REFUSED_FOR = 60.0
"""Seconds in which an image is not tried again: its shell lacks something, or had no time."""

ANSWERS_WITHIN, LOOK_FIRST, LOOK_MOST = 3.0, 0.02, 0.2
"""Seconds in which a shell has done what it was told, and between two looks whether it has."""


class Handing:
    """Knows which containers take what they need by their input."""

    def __init__(self) -> None:
        self._takes: dict[str, str] = {}
        self._refused: dict[str, float] = {}

    def expect(self, container_id: str, image: str) -> None:
        """Take note that a container waits whose image, run as root, can be tried."""
        if time.monotonic() - self._refused.get(image, float("-inf")) > REFUSED_FOR:
            self._takes[container_id] = image

    def forget(self, container_id: str) -> None:
        """Take note that a container is gone."""
        self._takes.pop(container_id, None)

    async def take(self, engine: NodeEngine, container_id: str, path: str, archive: bytes) -> bool:
        """Hand the files of an archive over; False where they must be put there."""
        if container_id not in self._takes or (lines := told(path, archive)) is None:
            return False
        return await self._tell(engine, container_id, lines, HANDED_PATH)

    async def let_go(self, engine: NodeEngine, container_id: str) -> bool:
        """Let a script go; False where the file that does so must be put there."""
        if container_id not in self._takes:
            return False
        return await self._tell(engine, container_id, b"", GO_PATH)

    async def _tell(self, engine: NodeEngine, container_id: str, lines: bytes, sign: str) -> bool:
        """Have a shell do what it is told, and then make a file as a sign of that."""
        message = lines + f": >{sign}\n".encode()
        try:
            done = await engine.write_input(container_id, message)
        except EngineUnavailable:
            raise
        except EngineError:
            # It runs no more, or can't be attached to.
            done = False
        done = done and await _is_there(engine, container_id, sign)
        if not done:
            self._refused[self._takes.pop(container_id)] = time.monotonic()
        return done


async def _is_there(engine: NodeEngine, container_id: str, path: str) -> bool:
    until, pause = time.monotonic() + ANSWERS_WITHIN, LOOK_FIRST
    while await engine.file_time(container_id, path) is None:
        if time.monotonic() > until:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, LOOK_MOST)
    return True


def told(path: str, archive: bytes) -> bytes | None:
    """Return what a shell is told to make of an archive; None if it is nothing for a shell.

    Parameters
    ----------
    path
        The folder at which the archive is to be unpacked.
    """
    folders: dict[int, list[str]] = {}
    lines = []
    if len(archive) > MOST + 2 * tarfile.RECORDSIZE:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = shlex.quote(posixpath.join(path, member.name))
            if member.isdir():
                folders.setdefault(member.mode, []).append(name)
                continue
            content = tar.extractfile(member) if member.isreg() else None
            data = b"\0" if content is None else content.read()
            if b"\0" in data or len(data) > MOST:
                return None
            quoted = data.replace(b"'", b"'\\''")
            lines.append(b"printf %%s '%s' >%s\n" % (quoted, name.encode()))
            lines.append(f"chmod {member.mode:o} {name}\n".encode())
    every = " ".join(name for names in folders.values() for name in names)
    made = [f"mkdir -p {every}\n".encode()] if every else []
    made += [f"chmod {mode:o} {' '.join(names)}\n".encode() for mode, names in folders.items()]
    return b"set -e\n" + b"".join(made + lines)
