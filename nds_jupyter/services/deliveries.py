"""Delivery of selected files from a container to the data root on request."""

from __future__ import annotations

import contextlib
import posixpath
import tarfile
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

from nds_jupyter.archives.tar import TarReader, content_size
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.engines.base import Engine
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.paths import join
from nds_jupyter.services.results import JobResults

PIECE = 2**20


class Deliveries:
    """Copies paths of containers into a collection.

    Parameters
    ----------
    engine, data
        Where from, and where to.
    results
        Knows what is there.
    """

    def __init__(self, engine: Engine, data: DataRoot, results: JobResults) -> None:
        self._engine = engine
        self._data = data
        self._results = results

    async def deliver(
        self, container_id: str, paths: Sequence[str], to: str, *, overwrite: bool
    ) -> list[Entry]:
        """Copy paths, folders with all they hold, and return the objects that were written.

        Each object is verified before it takes its name. Links and devices are passed over.

        Parameters
        ----------
        to
            The collection; made if it is not there.

        Raises
        ------
        Conflict
            If an object is there and `overwrite` is false; what was written before it stays.
        """
        wanted = await self._results.present(container_id, paths)
        names = Counter(map(posixpath.basename, wanted))
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice is not None:
            raise InvalidRequest(f"paths: several are called {twice}. Deliver them one by one.")
        exists = IfExists.REPLACE if overwrite else IfExists.REFUSE
        written: list[Entry] = []
        async with self._data.made(to):
            for path in wanted:
                archive = self._engine.archive(container_id, path)
                async with contextlib.aclosing(archive) as tar:
                    written += await self._take(tar, to, exists)
        return written

    async def _take(
        self, tar: AsyncGenerator[bytes, None], to: str, exists: IfExists
    ) -> list[Entry]:
        written: list[Entry] = []
        reader = TarReader(tar)
        while (info := await reader.member()) is not None:
            goal = join(to, _name_of(info))
            if info.isdir():
                await self._data.make(goal)
            elif info.isreg():
                content = _content(reader, info.size)
                written.append(await self._data.write(goal, content, exists=exists))
                await reader.skip(content_size(info) - info.size)
        return written


def _name_of(info: tarfile.TarInfo) -> str:
    name = info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return posixpath.normpath(f"/{name}").strip("/")


async def _content(reader: TarReader, size: int) -> AsyncGenerator[bytes, None]:
    while size > 0:
        data = bytes(await reader.some(min(size, PIECE)))
        size -= len(data)
        yield data
