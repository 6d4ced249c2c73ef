"""The iRODS filesystem against python-irodsclient and iBridges: the ratios tell."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import ibridges
from ibridges import IrodsPath

from benchmarks.bench import Bench, alternate, seconds
from benchmarks.report import Figure, median
from benchmarks.zones import Clients, clients

ENTRIES = 100_000
SMALL = 1_000
LARGE = 1024
"""MiB of the large file."""

IBRIDGES = "iBridges"
PAGE = 100
THREADS = 8


def listing(bench: Bench) -> Iterator[Figure]:
    """Time of one page of a large collection."""
    number = bench.scaled(ENTRIES)
    with clients(number) as at:
        collection = f"{at.home}/many"
        bare = (
            "select distinct DATA_NAME, DATA_SIZE, DATA_CHECKSUM, DATA_MODIFY_TIME "
            f"where COLL_NAME = '{collection}' order by DATA_NAME limit {PAGE}"
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
            at_most=1.2,
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
        yield from _fetched(bench, at, number)
        yield from _stored(bench, at, number)


def _fetched(bench: Bench, at: Clients, number: int) -> Iterator[Figure]:
    target = at.folder / "fetched"

    def ours() -> None:
        at.fs.get(f"{at.home}/many", os.fspath(target), recursive=True)
        if len(list(target.iterdir())) != number:
            raise SystemExit("What was fetched is not what was stored.")
        shutil.rmtree(target)

    def one_by_one() -> None:
        target.mkdir()
        for index in range(number):
            name = f"object-{index:06d}"
            at.session.data_objects.get(f"{at.home}/many/{name}", os.fspath(target / name))
        shutil.rmtree(target)

    def by_ibridges() -> None:
        target.mkdir()
        path = IrodsPath(at.ibridges, f"{at.home}/many")
        _quiet(ibridges.download, path, target, overwrite=True)
        shutil.rmtree(target)

    rivals = (("one get each", one_by_one), (IBRIDGES, by_ibridges))
    what = f"recursive get of {number} objects of 1 KiB"
    yield from _pairs(what, ours, rivals, max(1, bench.repeats // 2), at_most=0.4)


def _stored(bench: Bench, at: Clients, number: int) -> Iterator[Figure]:
    source = at.folder / "many"
    turn = count()

    def ours() -> None:
        at.fs.put(os.fspath(source), f"{at.home}/ours-{next(turn)}", recursive=True)

    def one_by_one() -> None:
        target = f"{at.home}/theirs-{next(turn)}"
        at.session.collections.create(target)
        for path in source.iterdir():
            at.session.data_objects.put(
                os.fspath(path), f"{target}/{path.name}", regChksum="", verifyChksum=""
            )

    def by_ibridges() -> None:
        target = IrodsPath(at.ibridges, f"{at.home}/theirs-{next(turn)}")
        target.create_collection()
        _quiet(ibridges.upload, source, target)

    rivals = (("one put each, checksum verified", one_by_one), (IBRIDGES, by_ibridges))
    what = f"recursive put of {number} files of 1 KiB"
    yield from _pairs(what, ours, rivals, max(1, bench.repeats // 2), at_most=0.4)


def transfers(bench: Bench) -> Iterator[Figure]:
    """Time of one large file, to the zone and from it."""
    mebibytes = bench.scaled(LARGE)
    with clients() as at:
        source, target = at.folder / "large", at.folder / "got"
        with source.open("wb") as file:
            for _ in range(mebibytes):
                file.write(os.urandom(2**20))
        path = f"{at.home}/large"

        def put() -> None:
            at.fs.put_file(os.fspath(source), path)
            at.fs.rm_file(path, trash=False)

        def client_put() -> None:
            at.session.data_objects.put(os.fspath(source), path, regChksum="", verifyChksum="")
            at.session.data_objects.unlink(path, force=True)

        def ibridges_put() -> None:
            _quiet(ibridges.upload, source, IrodsPath(at.ibridges, at.home))
            at.session.data_objects.unlink(path, force=True)

        def get() -> None:
            at.fs.get_file(path, os.fspath(target))
            target.unlink()

        def client_get() -> None:
            at.session.data_objects.get(path, os.fspath(target))
            target.unlink()

        def ibridges_get() -> None:
            _quiet(ibridges.download, IrodsPath(at.ibridges, path), target)
            target.unlink()

        put_rivals = (("the client's put, checksum verified", client_put), (IBRIDGES, ibridges_put))
        yield from _pairs(f"put of {mebibytes} MiB", put, put_rivals, bench.repeats, at_most=1.0)
        at.fs.put_file(os.fspath(source), path)
        get_rivals = (("the client's get", client_get), (IBRIDGES, ibridges_get))
        yield from _pairs(f"get of {mebibytes} MiB", get, get_rivals, bench.repeats, at_most=1.0)


def _quiet(transfer: Callable[..., object], *paths: object, **options: object) -> None:
    """Let iBridges transfer something without its report of it."""
    with contextlib.redirect_stdout(io.StringIO()):
        transfer(*paths, progress_bar=False, **options)


Rival = tuple[str, Callable[[], None]]
"""A rival and what it does."""


def _pairs(
    what: str,
    ours: Callable[[], None],
    rivals: tuple[Rival, ...],
    repeats: int,
    *,
    at_most: float,
) -> Iterator[Figure]:
    for rival, theirs in rivals:
        mine, client = alternate(ours, theirs, repeats)
        yield Figure(
            what=what,
            rival=rival,
            ours=median(mine),
            theirs=median(client),
            unit="s",
            at_most=at_most,
        )
