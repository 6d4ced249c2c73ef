"""Program of the stager container: downloads a job's inputs from iRODS into its volume.

It reads its request from a Swarm secret, writes its progress to standard output, and exits with 0
when all inputs are complete.
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
from nds_jupyter.data.input_plan import (
    InputPlan,
    PlannedEntry,
    expect_space,
    make_plan,
    read_entries,
)
from nds_jupyter.data.irods import IrodsFileSystem
from nds_jupyter.data.irods_backend import IrodsBackend
from nds_jupyter.data.object_reader import changed_error
from nds_jupyter.data.stager_protocol import (
    CA_FILE,
    REQUEST_PATH,
    StagerMessage,
    StagerRequest,
)
from nds_jupyter.errors import DataUnavailable, NdsError

PROGRESS_INTERVAL = 0.5
"""Seconds between two lines of progress."""


def send_message(message: StagerMessage) -> None:
    """Write one line for the server."""
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


class StagerDownload:
    """Download of a plan's entries into local files.

    Parameters
    ----------
    data_root
        Where they are.
    root
        Folder that stands for the container's ``/``.
    """

    def __init__(self, data_root: DataRoot, plan: InputPlan, root: Path) -> None:
        self._data_root = data_root
        self._plan = plan
        self._root = root
        self._done = 0
        self._last_report = 0.0

    async def run(self) -> None:
        """Download all of it."""
        async with contextlib.aclosing(read_entries(self._data_root, self._plan)) as entries:
            async for planned, chunks in entries:
                await self._download(planned, chunks)
        self._report(self._done)

    async def _download(self, planned: PlannedEntry, chunks: AsyncIterator[bytes]) -> None:
        path = self._root / planned.target.lstrip("/")
        if planned.entry.is_collection:
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            size = await self._write(file, chunks)
        if size != planned.entry.size:
            raise changed_error(planned.entry)
        path.chmod(0o644)
        if planned.entry.modified is not None:
            modified = planned.entry.modified.timestamp()
            os.utime(path, (modified, modified))
        self._done += size

    async def _write(self, file: BinaryIO, chunks: AsyncIterator[bytes]) -> int:
        size = 0
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
            size += len(chunk)
            if time.monotonic() - self._last_report >= PROGRESS_INTERVAL:
                self._report(self._done + size)
        return size

    def _report(self, done: int) -> None:
        self._last_report = time.monotonic()
        send_message(StagerMessage(done=done, total=self._plan.size))


async def download_inputs(request: StagerRequest, root: Path, private_folder: Path) -> None:
    """Download what a request asks for.

    Parameters
    ----------
    root
        Folder that stands for the container's ``/``.
    private_folder
        For the file of certificates.
    """
    settings = dict(request.settings)
    if request.certificates:
        ca_file = private_folder / "authorities.pem"
        ca_file.write_text(request.certificates)
        settings[CA_FILE] = str(ca_file)
    data_root = DataRoot(IrodsBackend(IrodsFileSystem(**settings), request.base))
    try:
        plan = await make_plan(data_root, request.inputs, request.max_entries)
        expect_space(plan, shutil.disk_usage(root).free)
        await StagerDownload(data_root, plan, root).run()
    finally:
        await data_root.close()


def main() -> int:
    """Serve the request of this container, and return its exit code."""
    os.umask(0o022)
    zone = "the zone"
    try:
        request = msgspec.json.decode(Path(REQUEST_PATH).read_bytes(), type=StagerRequest)
        zone = f"{request.settings.get('host')}:{request.settings.get('port')}"
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(download_inputs(request, Path("/"), Path(folder)))
    except DataUnavailable as exc:
        send_message(
            StagerMessage(error=f"{exc.message} The job's node asked {zone}, and must reach that.")
        )
    except NdsError as exc:
        send_message(StagerMessage(error=exc.message))
    except (OSError, ValueError) as exc:
        send_message(StagerMessage(error=f"The helper container can't fetch the inputs: {exc}."))
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
