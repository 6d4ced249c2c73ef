"""The iRODS filesystem against its own client, on the zone for tests: the ratios tell."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench, alternate, seconds
from benchmarks.report import Figure, median
from dev.engine import cache_folder
from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.zone import Zone

ENTRIES = 100_000
SMALL = 1_000
PAGE = 100
THREADS = 8


@contextlib.contextmanager
def zone() -> Iterator[tuple[Zone, IrodsFileSystem, Any, Path]]:
    """Run a zone, with the filesystem and the client's session on it, and a local folder."""
    with (
        tempfile.TemporaryDirectory(dir=cache_folder()) as folder,
        Zone(Path(folder) / "zone") as made,
        made.session() as session,
    ):
        options = {**made.environment(), "password": made.password()}
        fs = IrodsFileSystem(skip_instance_cache=True, **options)
        with contextlib.closing(fs):
            yield made, fs, session, Path(folder)


def listing(bench: Bench) -> Iterator[Figure]:
    """Time of one page of a large collection."""
    number = bench.scaled(ENTRIES)
    with zone() as (made, fs, session, _):
        home = made.home()
        made.fill(home, [f"object-{index:06d}" for index in range(number)])
        bare = (
            "select DATA_NAME, DATA_SIZE, DATA_CHECKSUM, DATA_MODIFY_TIME where COLL_NAME = "
            f"'{home}' order by DATA_NAME limit {PAGE}"
        )
        page, query = alternate(
            lambda: fs.ls_page(home, limit=PAGE),
            lambda: session.genquery2(bare),
            bench.repeats * 4,
        )
        yield Figure(
            what=f"first page of {PAGE} of {number} entries",
            rival="the bare GenQuery2",
            ours=median(page) * 1e3,
            theirs=median(query) * 1e3,
            unit="ms",
            at_most=2,
        )
        whole = seconds(lambda: list(session.collections.get(home).data_objects))
        yield Figure(
            what=f"first page of {PAGE} of {number} entries",
            rival="collection.data_objects",
            ours=median(page) * 1e3,
            theirs=whole * 1e3,
            unit="ms",
        )


def small_objects(bench: Bench) -> Iterator[Figure]:
    """Time of reading many small objects."""
    number = bench.scaled(SMALL)
    with zone() as (made, fs, session, folder):
        paths = [f"{made.home()}/object-{index}" for index in range(number)]
        made.fill(made.home(), [path.rpartition("/")[2] for path in paths], b"x" * 1024)

        def ours() -> None:
            with ThreadPoolExecutor(THREADS) as pool:
                if sum(map(len, pool.map(fs.cat_file, paths))) != number * 1024:
                    raise SystemExit("What was read is not what was stored.")

        def theirs() -> None:
            for path in paths:
                session.data_objects.get(path, str(folder / "got"), forceFlag="")

        mine, client = alternate(ours, theirs, max(1, bench.repeats // 2))
        yield Figure(
            what=f"reading {number} objects of 1 KiB",
            rival="one get each",
            ours=median(mine),
            theirs=median(client),
            unit="s",
            at_most=1 / 3,
        )
