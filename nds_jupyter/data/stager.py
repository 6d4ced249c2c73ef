"""Program of the stager container: fetches a job's inputs from iRODS into its volume.

It is told what by a Swarm secret, says how far it is on its standard output, and ends with 0 when
all of it is in place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods_backend import IrodsBackend
from nds_jupyter.data.object_reader import changed
from nds_jupyter.data.stager_protocol import ERRAND, StagerMessage, StagerRequest
from nds_jupyter.data.staging import StagedMember, StagingPlan, contents, expect_space, make_plan
from nds_jupyter.errors import DataUnavailable, NdsError

SAY_EVERY = 0.5
"""Seconds between two lines about how far it is."""

AUTHORITIES = "irods_ssl_ca_certificate_file"


def say(what: StagerMessage) -> None:
    """Tell the server something."""
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


class StagerDownload:
    """Writes a plan's members where they belong.

    Parameters
    ----------
    store
        Where they are.
    root
        Folder that stands for the container's ``/``.
    """

    def __init__(self, store: DataRoot, plan: StagingPlan, root: Path) -> None:
        self._store = store
        self._plan = plan
        self._root = root
        self._done = 0
        self._said = 0.0

    async def run(self) -> None:
        """Fetch all of it."""
        async with contextlib.aclosing(contents(self._store, self._plan)) as members:
            async for member, pieces in members:
                await self._place(member, pieces)
        self._say(self._done)

    async def _place(self, member: StagedMember, pieces: AsyncIterator[bytes]) -> None:
        path = self._root / member.target.lstrip("/")
        if member.entry.is_collection:
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            size = await self._write(file, pieces)
        if size != member.entry.size:
            raise changed(member.entry)
        path.chmod(0o644)
        if member.entry.modified is not None:
            at = member.entry.modified.timestamp()
            os.utime(path, (at, at))
        self._done += size

    async def _write(self, file: BinaryIO, pieces: AsyncIterator[bytes]) -> int:
        size = 0
        async for data in pieces:
            await asyncio.to_thread(file.write, data)
            size += len(data)
            if time.monotonic() - self._said >= SAY_EVERY:
                self._say(self._done + size)
        return size

    def _say(self, done: int) -> None:
        self._said = time.monotonic()
        say(StagerMessage(done=done, total=self._plan.size))


async def fetch(errand: StagerRequest, root: Path, folder: Path) -> None:
    """Carry out an errand.

    Parameters
    ----------
    root
        Folder that stands for the container's ``/``.
    folder
        For what must be a file: it is nobody else's.
    """
    settings = dict(errand.settings)
    if errand.certificates:
        authorities = folder / "authorities.pem"
        authorities.write_text(errand.certificates)
        settings[AUTHORITIES] = str(authorities)
    store = DataRoot(IrodsBackend(IrodsFileSystem(**settings), errand.base))
    try:
        plan = await make_plan(store, errand.inputs, errand.most)
        expect_space(plan, shutil.disk_usage(root).free)
        await StagerDownload(store, plan, root).run()
    finally:
        await store.close()


def main() -> int:
    """Carry out the errand of this container."""
    os.umask(0o022)
    zone = "the zone"
    try:
        errand = msgspec.json.decode(Path(ERRAND).read_bytes(), type=StagerRequest)
        zone = f"{errand.settings.get('host')}:{errand.settings.get('port')}"
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(fetch(errand, Path("/"), Path(folder)))
    except DataUnavailable as exc:
        say(StagerMessage(error=f"{exc.message} The job's node asked {zone}, and must reach that."))
    except NdsError as exc:
        say(StagerMessage(error=exc.message))
    except (OSError, ValueError) as exc:
        say(StagerMessage(error=f"The helper container can't fetch the inputs: {exc}."))
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
