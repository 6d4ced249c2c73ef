"""Results in a job's container: listing of a folder, archive and delivery of selected paths."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import tarfile
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence

import msgspec

from nds_jupyter.archives.tar import TarReader, content_size
from nds_jupyter.archives.tar_conversion import ArchiveEntry, concatenate_tars, list_entries
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Entry
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.engines.base import Change, ChangeKind, Engine, PathStat
from nds_jupyter.errors import InvalidRequest, PathNotFound
from nds_jupyter.jobs.logical_paths import join
from nds_jupyter.journal import Journal
from nds_jupyter.journal.journal import JournalThread
from nds_jupyter.rest.views import ChangeView, ResultRow
from nds_jupyter.services.target_lookup import Target

RESULTS = "/results"

MAX_ENTRIES = 10_000
"""Entries listed of a folder on a volume, which only an archive can list."""

CONCURRENT_STATS = 4
"""Calls of `stat` at one time, so that a page of rows leaves the engine's threads to others."""


class JobResults:
    """Listings and archives of results, also of containers that were removed.

    Parameters
    ----------
    engine, journal
        The engine has the containers, the journal the lists of those that were removed.
    """

    def __init__(self, engine: Engine, journal: JournalThread) -> None:
        self._engine = engine
        self._journal = journal

    async def add_types_and_sizes(
        self, target: Target, rows: Sequence[ChangeView]
    ) -> list[ChangeView]:
        """Return rows of a diff with the type and size that each path has now."""
        if target.container_id is None or (target.job is not None and target.job.removed):
            return list(rows)
        there = [row.path for row in rows if row.kind != ChangeKind.DELETED]
        stats = await self._stat_paths(target.container_id, there)
        return [_change_with_stat(row, stats.get(row.path)) for row in rows]

    async def _stat_paths(self, container_id: str, paths: Iterable[str]) -> dict[str, PathStat]:
        gate = asyncio.Semaphore(CONCURRENT_STATS)

        async def ask(path: str) -> tuple[str, PathStat | None]:
            async with gate:
                return path, await self._engine.stat(container_id, path)

        stats = await asyncio.gather(*map(ask, paths))
        return {path: stat for path, stat in stats if stat is not None}

    async def list_folder(self, target: Target, folder: str) -> list[ResultRow]:
        """List what a folder holds, by name; `add_types` adds the types.

        Raises
        ------
        PathNotFound
            If the job left nothing by that path.
        """
        job = target.job
        if job is not None and job.removed is not None:
            body = await self._journal.call(Journal.snapshot, job.job_id, "results")
            entries = msgspec.json.decode(body or b"[]", type=tuple[ArchiveEntry, ...])
            return _rows_of_archive(entries, posixpath.dirname(RESULTS), folder)
        if job is not None and target.container_id is None:
            return _rows_of_archive((), RESULTS, folder)
        container_id = target.require_container()
        container = await self._engine.inspect(container_id)
        if any(_overlaps_mount(mount.destination, folder) for mount in container.mounts):
            return await self._list_folder_by_archive(container_id, folder)
        return _rows_of_changes(await self._engine.diff(container_id), folder)

    async def _list_folder_by_archive(self, container_id: str, folder: str) -> list[ResultRow]:
        async with contextlib.aclosing(self._engine.archive(container_id, folder)) as archive:
            entries = await list_entries(archive, MAX_ENTRIES)
        return _rows_of_archive(entries, posixpath.dirname(folder), folder)

    async def add_types(self, target: Target, rows: Sequence[ResultRow]) -> list[ResultRow]:
        """Return rows with their types, where the list did not have them."""
        unknown = [row.path for row in rows if row.kind is None]
        if not unknown or target.container_id is None:
            return list(rows)
        stats = await self._stat_paths(target.container_id, unknown)
        return [_row_with_stat(row, stats.get(row.path)) for row in rows]

    async def archive_paths(
        self, container_id: str, paths: Sequence[str]
    ) -> AsyncGenerator[bytes, None]:
        """Return one tar stream of several paths, each by its name in the container.

        Raises
        ------
        PathNotFound
            If one of them is not there; nothing is sent then.
        """
        outermost = await self.require_paths(container_id, paths)
        return concatenate_tars(
            (_archive_prefix(path), self._engine.archive(container_id, path)) for path in outermost
        )

    async def require_paths(self, container_id: str, paths: Sequence[str]) -> list[str]:
        """Return the paths without those that lie in another of them; all must exist.

        Raises
        ------
        PathNotFound
            If one of them is not.
        """
        outermost = _without_nested(paths)
        stats = await self._stat_paths(container_id, outermost)
        missing = [path for path in outermost if path not in stats]
        if missing:
            raise PathNotFound(f"There is no {missing[0]} in container {container_id[:12]}.")
        return outermost


def _archive_prefix(path: str) -> str:
    """Return the folder that the names of a path's archive lack: ``results/plots/``."""
    folder = posixpath.dirname(path).strip("/")
    return f"{folder}/" if folder else ""


def _change_with_stat(row: ChangeView, stat: PathStat | None) -> ChangeView:
    if stat is None:
        return row
    size = stat.size if stat.kind == "file" else None
    return msgspec.structs.replace(row, type=stat.kind, size=size)


def _row_with_stat(row: ResultRow, stat: PathStat | None) -> ResultRow:
    if stat is None:
        return row
    size = stat.size if stat.kind == "file" else None
    return msgspec.structs.replace(row, kind=stat.kind, size=size, modified=stat.modified)


def _overlaps_mount(mount: str, folder: str) -> bool:
    """Return whether a mount hides a folder, or something below it, from the container's layer."""
    return f"{folder}/".startswith(f"{mount.rstrip('/')}/") or mount.startswith(f"{folder}/")


def _rows_of_changes(changes: Iterable[Change], folder: str) -> list[ResultRow]:
    there = [change.path for change in changes if change.kind is not ChangeKind.DELETED]
    if folder not in {RESULTS, *there}:
        raise PathNotFound(f"The job left no {folder}.")
    names = sorted(path for path in there if posixpath.dirname(path) == folder)
    return [ResultRow(name=posixpath.basename(path), path=path) for path in names]


def _rows_of_archive(entries: Iterable[ArchiveEntry], parent: str, folder: str) -> list[ResultRow]:
    """Return those of an archive's entries that a folder holds.

    Parameters
    ----------
    parent
        The folder that the archive's names are relative to.
    """
    by_path = {posixpath.join(parent, entry.name).rstrip("/"): entry for entry in entries}
    if folder not in {RESULTS, *by_path}:
        raise PathNotFound(f"The job left no {folder}.")
    return [
        ResultRow(
            name=posixpath.basename(path),
            path=path,
            kind=entry.kind,
            size=entry.size if entry.kind == "file" else None,
            modified=entry.modified,
        )
        for path, entry in sorted(by_path.items())
        if posixpath.dirname(path) == folder
    ]


def _without_nested(paths: Iterable[str]) -> list[str]:
    """Return the paths without those below another one."""
    outermost: list[str] = []
    for path in sorted({posixpath.normpath(path) for path in paths}, key=lambda path: f"{path}/"):
        if not outermost or not f"{path}/".startswith(f"{outermost[-1].rstrip('/')}/"):
            outermost.append(path)
    return outermost


BLOCK_SIZE = 2**20


class SelectionDelivery:
    """Delivery of selected paths of a container to the data root, on request.

    Parameters
    ----------
    engine
        Has the containers.
    results
        Checks that the paths exist.
    """

    def __init__(self, engine: Engine, results: JobResults) -> None:
        self._engine = engine
        self._results = results

    async def deliver(
        self,
        data: DataRoot,
        container_id: str,
        paths: Sequence[str],
        to: str,
        *,
        overwrite: bool,
    ) -> list[Entry]:
        """Copy paths, folders with all they hold, and return the objects that were written.

        Each object is verified before it takes its name. Links and devices are skipped.

        Parameters
        ----------
        data
            Of the owner of the container.
        to
            The collection; made if it is not there.

        Raises
        ------
        Conflict
            If an object exists and `overwrite` is false; what was written before it stays.
        """
        outermost = await self._results.require_paths(container_id, paths)
        names = Counter(map(posixpath.basename, outermost))
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice is not None:
            raise InvalidRequest(f"paths: several are called {twice}. Deliver them one by one.")
        exists = IfExists.REPLACE if overwrite else IfExists.REFUSE
        written: list[Entry] = []
        async with data.new_collection(to):
            for path in outermost:
                archive = self._engine.archive(container_id, path)
                async with contextlib.aclosing(archive) as tar:
                    written += await _write_members(data, tar, to, exists)
        return written


async def _write_members(
    data: DataRoot, tar: AsyncGenerator[bytes, None], to: str, exists: IfExists
) -> list[Entry]:
    written: list[Entry] = []
    reader = TarReader(tar)
    while (info := await reader.next_member()) is not None:
        goal = join(to, _member_path(info))
        if info.isdir():
            await data.make_collection(goal)
        elif info.isreg():
            content = _read_member(reader, info.size)
            written.append(await data.write(goal, content, exists=exists))
            await reader.skip(content_size(info) - info.size)
    return written


def _member_path(info: tarfile.TarInfo) -> str:
    name = info.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return posixpath.normpath(f"/{name}").strip("/")


async def _read_member(reader: TarReader, size: int) -> AsyncGenerator[bytes, None]:
    while size > 0:
        data = bytes(await reader.read_some(min(size, BLOCK_SIZE)))
        size -= len(data)
        yield data
