"""Reading objects: in order, ahead of who takes it, and nothing left open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nds_jupyter.data import object_reader
from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.errors import DataChanged, DataUnavailable
from tests.data.conftest import zone_root
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.waiting import until

Pieces = Callable[..., AsyncIterator[bytes]]

BLOCK = 1000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_reader, "CHUNK", BLOCK)


@pytest.fixture(params=[1, 3], ids=["one place", "three places"])
def places(
    request: pytest.FixtureRequest, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> int:
    monkeypatch.setattr(backend, "read_streams", lambda size: request.param)
    return int(request.param)


class Watched:
    """Counts the files of a backend that are open, and what was read from them."""

    def __init__(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = self.closed = self.reads = 0
        self.let = threading.Event()
        self.let.set()
        self._lock = threading.Lock()
        opens = backend.open_read

        def open_read(path: str, start: int) -> Any:
            file = opens(path, start)
            with self._lock:
                self.opened += 1
            return _File(file, self)

        monkeypatch.setattr(backend, "open_read", open_read)

    def count(self, name: str) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


class _File:
    def __init__(self, file: Any, watched: Watched) -> None:
        self._file, self._watched = file, watched

    def read(self, size: int) -> bytes:
        self._watched.count("reads")
        assert self._watched.let.wait(60)
        return bytes(self._file.read(size))

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def close(self) -> None:
        self._watched.count("closed")
        self._file.close()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK, 7 * BLOCK + 17])
@pytest.mark.usefixtures("places")
async def test_every_size_is_read_in_order(store: DataRoot, pieces: Pieces, size: int) -> None:
    content = os.urandom(size)
    await store.prepare()
    entry = await store.write("/x", pieces(content))
    assert b"".join([piece async for piece in store.read(entry)]) == content
    some = b"".join([piece async for piece in store.read(entry, 3, max(3, size - 1))])
    assert some == content[3 : max(3, size - 1)]
    await store.close()


async def test_next_pieces_are_read_while_one_is_used(
    store: DataRoot, pieces: Pieces, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.prepare()
    content = os.urandom(20 * BLOCK)
    entry = await store.write("/x", pieces(content))
    watched = Watched(store.backend, monkeypatch)
    async with contextlib.aclosing(store.read(entry)) as found:
        assert await anext(found) == content[:BLOCK]
        # One in use and one a place under way: that is all that is ever held.
        await until(lambda: watched.reads == 1 + places, f"{places} pieces are read ahead")
        assert await anext(found) == content[BLOCK : 2 * BLOCK]
        await until(lambda: watched.reads == 2 + places, "the next one is read ahead")
    assert watched.opened == watched.closed == places
    await store.close()


async def test_nothing_stays_open_when_nobody_reads_on(
    store: DataRoot, pieces: Pieces, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.prepare()
    entry = await store.write("/x", pieces(os.urandom(20 * BLOCK)))
    watched = Watched(store.backend, monkeypatch)
    watched.let.clear()

    async def read() -> None:
        async with contextlib.aclosing(store.read(entry)) as found:
            async for _ in found:
                pass

    reading_on = asyncio.create_task(read())
    await until(lambda: watched.reads == places, "the object is read")
    reading_on.cancel()
    asyncio.get_running_loop().call_later(0.1, watched.let.set)
    with pytest.raises(asyncio.CancelledError):
        await reading_on
    assert watched.opened == watched.closed == places
    assert watched.reads == places
    await store.close()


async def test_dropped_connection_is_taken_up_where_it_broke(
    store: DataRoot, pieces: Pieces, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.prepare()
    content = os.urandom(9 * BLOCK + 5)
    entry = await store.write("/x", pieces(content))
    watched = Watched(store.backend, monkeypatch)
    read, breaks, asked = _File.read, {4, 9}, count()

    def flaky(self: _File, size: int) -> bytes:
        if next(asked) in breaks:
            raise ConnectionResetError
        return read(self, size)

    monkeypatch.setattr(_File, "read", flaky)
    assert b"".join([piece async for piece in store.read(entry)]) == content
    assert next(asked) > 10
    assert watched.opened == watched.closed
    breaks.update(range(next(asked), 1000))
    store.retries = 0
    with pytest.raises(DataUnavailable, match="/x"):
        assert [piece async for piece in store.read(entry)]
    assert watched.opened == watched.closed
    await store.close()


@pytest.mark.usefixtures("places")
async def test_object_that_became_shorter_is_told(
    store: DataRoot, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.prepare()
    entry = await store.write("/x", pieces(os.urandom(9 * BLOCK)))
    watched = Watched(store.backend, monkeypatch)
    read = _File.read
    monkeypatch.setattr(_File, "read", lambda self, size: read(self, size) and b"")
    with pytest.raises(DataChanged, match="/x"):
        assert [piece async for piece in store.read(entry)]
    assert watched.opened == watched.closed
    await store.close()


async def test_file_that_gives_less_than_asked_is_read_on(
    tmp_path: Path, pieces: Pieces, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    store = DataRoot(open_backend(str(tmp_path / "root")))
    await store.prepare()
    content = os.urandom(5 * BLOCK + 1)
    entry = await store.write("/x", pieces(content))
    Watched(store.backend, monkeypatch)
    read = _File.read
    monkeypatch.setattr(_File, "read", lambda self, size: read(self, min(size, 300)))
    assert b"".join([piece async for piece in store.read(entry)]) == content
    await store.close()


async def test_large_object_of_a_zone_is_read_over_several_connections(
    faulty_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    backend = zone_root(faulty_zone, faulty_zone.home(), tmp_path, monkeypatch)
    monkeypatch.setattr(object_reader, "CHUNK", 2**20)
    monkeypatch.setattr(backend, "read_streams", lambda size: 3)
    content = os.urandom(9 * 2**20 + 17)
    faulty_zone.fill(faulty_zone.home(), ["x"], content)
    store = DataRoot(backend, threads=4)
    entry = await store.entry("/x")
    faulty_zone.faults.calls.clear()
    faulty_zone.faults.stall(Api.READ, times=3)
    read = asyncio.create_task(_whole(store, entry))
    calls = faulty_zone.faults.calls
    await until(lambda: calls.count(Api.READ) == 3, "three connections read at one time")
    faulty_zone.faults.clear()
    assert await read == content
    faulty_zone.faults.drop(Api.READ, nth=5)
    assert await _whole(store, entry) == content
    await store.close()
    backend.fs.close()


async def _whole(store: DataRoot, entry: Any) -> bytes:
    return b"".join([piece async for piece in store.read(entry)])
