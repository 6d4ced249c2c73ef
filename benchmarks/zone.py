"""The iRODS filesystem against its own client, on the zone for tests: the ratios tell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from benchmarks.bench import Bench, alternate, seconds
from benchmarks.report import Figure, median
from benchmarks.zones import Clients, clients

ENTRIES = 100_000
SMALL = 1_000
PAGE = 100
THREADS = 8


def listing(bench: Bench) -> Iterator[Figure]:
    """Time of one page of a large collection."""
    number = bench.scaled(ENTRIES)
    with clients(number) as at:
        collection = f"{at.home}/many"
        bare = (
            "select DATA_NAME, DATA_SIZE, DATA_CHECKSUM, DATA_MODIFY_TIME where COLL_NAME = "
            f"'{collection}' order by DATA_NAME limit {PAGE}"
        )
        page, query = alternate(
            lambda: at.fs.ls_page(collection, limit=PAGE),
            lambda: at.session.genquery2(bare),
            bench.repeats * 20,
        )
        yield Figure(
            what=f"first page of {PAGE} of {number} entries",
            rival="the bare GenQuery2",
            ours=median(page) * 1e3,
            theirs=median(query) * 1e3,
            unit="ms",
            at_most=2,
        )
        whole = seconds(lambda: list(at.session.collections.get(collection).data_objects))
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
    with clients(number) as at:
        paths = [f"{at.home}/many/object-{index:06d}" for index in range(number)]

        def ours() -> None:
            with ThreadPoolExecutor(THREADS) as pool:
                if sum(map(len, pool.map(at.fs.cat_file, paths))) != number * 1024:
                    raise SystemExit("What was read is not what was stored.")

        def theirs() -> None:
            for path in paths:
                at.session.data_objects.get(path, os.fspath(at.folder / "got"), forceFlag="")

        mine, client = alternate(ours, theirs, max(1, bench.repeats // 2))
        yield Figure(
            what=f"reading {number} objects of 1 KiB",
            rival="one get each",
            ours=median(mine),
            theirs=median(client),
            unit="s",
            at_most=1 / 3,
        )


def trees(bench: Bench) -> Iterator[Figure]:
    """Time of a folder of many small files, from the zone and to it."""
    number = bench.scaled(SMALL)
    with clients(number) as at:
        yield _fetched(bench, at, number)
        yield _stored(bench, at, number)


def _fetched(bench: Bench, at: Clients, number: int) -> Figure:
    target = at.folder / "fetched"

    def ours() -> None:
        shutil.rmtree(target, ignore_errors=True)
        at.fs.get(f"{at.home}/many", os.fspath(target), recursive=True)
        if len(list(target.iterdir())) != number:
            raise SystemExit("What was fetched is not what was stored.")

    def theirs() -> None:
        target.mkdir(exist_ok=True)
        for index in range(number):
            name = f"object-{index:06d}"
            at.session.data_objects.get(
                f"{at.home}/many/{name}", os.fspath(target / name), forceFlag=""
            )

    mine, client = alternate(ours, theirs, max(1, bench.repeats // 2))
    return Figure(
        what=f"recursive get of {number} objects of 1 KiB",
        rival="one get each",
        ours=median(mine),
        theirs=median(client),
        unit="s",
    )


def _stored(bench: Bench, at: Clients, number: int) -> Figure:
    source = at.folder / "stored"
    source.mkdir()
    for index in range(number):
        (source / f"file-{index:06d}").write_bytes(b"x" * 1024)
    turn = count()

    def ours() -> None:
        at.fs.put(os.fspath(source), f"{at.home}/ours-{next(turn)}", recursive=True)

    def theirs() -> None:
        target = f"{at.home}/theirs-{next(turn)}"
        at.session.collections.create(target)
        for path in source.iterdir():
            at.session.data_objects.put(
                os.fspath(path), f"{target}/{path.name}", regChksum="", verifyChksum=""
            )

    mine, client = alternate(ours, theirs, max(1, bench.repeats // 2))
    return Figure(
        what=f"recursive put of {number} files of 1 KiB",
        rival="one put each, checksum verified",
        ours=median(mine),
        theirs=median(client),
        unit="s",
    )
