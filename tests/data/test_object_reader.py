"""Reader of objects: order, read-ahead, resumption, and closed files."""

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
from tests.data.conftest import backend_of_zone
from tests.irods_zone.codes import Api
from tests.irods_zone.zone import Zone
from tests.waiting import until

Chunks = Callable[..., AsyncIterator[bytes]]

BLOCK = 1000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_reader, "CHUNK", BLOCK)


@pytest.fixture(params=[1, 3], ids=["one stream", "three streams"])
def stream_count(
    request: pytest.FixtureRequest, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> int:
    monkeypatch.setattr(backend, "read_streams", lambda size: request.param)
    return int(request.param)


class OpenFileCounter:
    """Counts the files of a backend that are open, and what was read from them."""

    def __init__(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = self.closed = self.reads = 0
        self.may_read = threading.Event()
        self.may_read.set()
        self._lock = threading.Lock()
        opens = backend.open_read

        def open_read(path: str, start: int) -> Any:
            file = opens(path, start)
            with self._lock:
                self.opened += 1
            return _CountedFile(file, self)

        monkeypatch.setattr(backend, "open_read", open_read)

    def count(self, name: str) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


class _CountedFile:
    def __init__(self, file: Any, counter: OpenFileCounter) -> None:
        self._file, self._counter = file, counter

    def read(self, size: int) -> bytes:
        self._counter.count("reads")
        assert self._counter.may_read.wait(60)
        return bytes(self._file.read(size))

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def close(self) -> None:
        self._counter.count("closed")
        self._file.close()

    def __enter__(self) -> _CountedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK, 7 * BLOCK + 17])
@pytest.mark.usefixtures("stream_count")
async def test_every_size_is_read_in_order(data_root: DataRoot, chunks: Chunks, size: int) -> None:
    content = os.urandom(size)
    await data_root.prepare()
    entry = await data_root.write("/x", chunks(content))
    assert b"".join([chunk async for chunk in data_root.read(entry)]) == content
    some = b"".join([chunk async for chunk in data_root.read(entry, 3, max(3, size - 1))])
    assert some == content[3 : max(3, size - 1)]
    await data_root.close()


async def test_next_chunks_are_read_ahead(
    data_root: DataRoot, chunks: Chunks, stream_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await data_root.prepare()
    content = os.urandom(20 * BLOCK)
    entry = await data_root.write("/x", chunks(content))
    counter = OpenFileCounter(data_root.backend, monkeypatch)
    async with contextlib.aclosing(data_root.read(entry)) as found:
        assert await anext(found) == content[:BLOCK]
        # One chunk in use and one a stream being read: no more is ever in memory.
        await until(
            lambda: counter.reads == 1 + stream_count, f"{stream_count} chunks are read ahead"
        )
        assert await anext(found) == content[BLOCK : 2 * BLOCK]
        await until(lambda: counter.reads == 2 + stream_count, "the next one is read ahead")
    assert counter.opened == counter.closed == stream_count
    await data_root.close()


async def test_cancelled_read_closes_its_files(
    data_root: DataRoot, chunks: Chunks, stream_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await data_root.prepare()
    entry = await data_root.write("/x", chunks(os.urandom(20 * BLOCK)))
    counter = OpenFileCounter(data_root.backend, monkeypatch)
    counter.may_read.clear()

    async def read() -> None:
        async with contextlib.aclosing(data_root.read(entry)) as found:
            async for _ in found:
                pass

    reading = asyncio.create_task(read())
    await until(lambda: counter.reads == stream_count, "the object is read")
    reading.cancel()
    asyncio.get_running_loop().call_later(0.1, counter.may_read.set)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert counter.opened == counter.closed == stream_count
    assert counter.reads == stream_count
    await data_root.close()


async def test_read_resumes_after_a_dropped_connection(
    data_root: DataRoot, chunks: Chunks, stream_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await data_root.prepare()
    content = os.urandom(9 * BLOCK + 5)
    entry = await data_root.write("/x", chunks(content))
    counter = OpenFileCounter(data_root.backend, monkeypatch)
    read, breaks, asked = _CountedFile.read, {4, 9}, count()

    def flaky(self: _CountedFile, size: int) -> bytes:
        if next(asked) in breaks:
            raise ConnectionResetError
        return read(self, size)

    monkeypatch.setattr(_CountedFile, "read", flaky)
    assert b"".join([chunk async for chunk in data_root.read(entry)]) == content
    assert next(asked) > 10
    assert counter.opened == counter.closed
    breaks.update(range(next(asked), 1000))
    data_root.retries = 0
    with pytest.raises(DataUnavailable, match="/x"):
        assert [chunk async for chunk in data_root.read(entry)]
    assert counter.opened == counter.closed
    await data_root.close()


@pytest.mark.usefixtures("stream_count")
async def test_shorter_object_is_an_error(
    data_root: DataRoot, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await data_root.prepare()
    entry = await data_root.write("/x", chunks(os.urandom(9 * BLOCK)))
    counter = OpenFileCounter(data_root.backend, monkeypatch)
    read = _CountedFile.read
    monkeypatch.setattr(_CountedFile, "read", lambda self, size: read(self, size) and b"")
    with pytest.raises(DataChanged, match="/x"):
        assert [chunk async for chunk in data_root.read(entry)]
    assert counter.opened == counter.closed
    await data_root.close()


async def test_short_reads_are_continued(
    tmp_path: Path, chunks: Chunks, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    data_root = DataRoot(open_backend(str(tmp_path / "root")))
    await data_root.prepare()
    content = os.urandom(5 * BLOCK + 1)
    entry = await data_root.write("/x", chunks(content))
    OpenFileCounter(data_root.backend, monkeypatch)
    read = _CountedFile.read
    monkeypatch.setattr(_CountedFile, "read", lambda self, size: read(self, min(size, 300)))
    assert b"".join([chunk async for chunk in data_root.read(entry)]) == content
    await data_root.close()


async def test_large_object_of_a_zone_is_read_over_several_connections(
    faulty_zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_asyncio_loop: object
) -> None:
    backend = backend_of_zone(faulty_zone, faulty_zone.home(), tmp_path, monkeypatch)
    monkeypatch.setattr(object_reader, "CHUNK", 2**20)
    monkeypatch.setattr(backend, "read_streams", lambda size: 3)
    content = os.urandom(9 * 2**20 + 17)
    faulty_zone.fill(faulty_zone.home(), ["x"], content)
    data_root = DataRoot(backend, threads=4)
    entry = await data_root.entry("/x")
    faulty_zone.faults.calls.clear()
    faulty_zone.faults.stall(Api.READ, times=3)
    read = asyncio.create_task(_read_all(data_root, entry))
    calls = faulty_zone.faults.calls
    await until(lambda: calls.count(Api.READ) == 3, "three connections read at one time")
    faulty_zone.faults.clear()
    assert await read == content
    faulty_zone.faults.drop(Api.READ, nth=5)
    assert await _read_all(data_root, entry) == content
    await data_root.close()
    backend.fs.close()


async def _read_all(data_root: DataRoot, entry: Any) -> bytes:
    return b"".join([chunk async for chunk in data_root.read(entry)])
