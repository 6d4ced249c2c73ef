"""Objects as streams, also over connections that drop."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from nds_jupyter.data.backend import CHUNK
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import (
    DataChanged,
    DataUnavailable,
    DeadlineExceeded,
    PathNotFound,
)
from tests.data.inspection import Chunks, content


async def test_large_object_is_read_in_ranges(prepared_root: DataRoot, chunks: Chunks) -> None:
    data = bytes(range(256)) * (CHUNK // 256 * 2 + 3)
    await prepared_root.write("/big", chunks(data, 2**20))
    assert await content(prepared_root, "/big") == data
    for start, stop in ((0, 1), (CHUNK - 1, CHUNK + 1), (5, len(data)), (7, 7)):
        assert await content(prepared_root, "/big", start, stop) == data[start:stop]


async def test_read_resumes_where_the_connection_dropped(
    prepared_root: DataRoot, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * (CHUNK // 256 * 7 // 2)
    await prepared_root.write("/big", chunks(data, 2**20))
    opened: list[int] = []
    open_read = prepared_root.backend.open_read

    def flaky(path: str, start: int) -> Any:
        opened.append(start)
        file = open_read(path, start)
        if len(opened) > failures:
            return file
        return _BreakingFile(file, after=CHUNK)

    monkeypatch.setattr(prepared_root.backend, "open_read", flaky)
    failures = 2
    assert await content(prepared_root, "/big") == data
    assert opened == [0, CHUNK, 2 * CHUNK]
    failures, prepared_root.retries = 99, 1
    opened.clear()
    with pytest.raises(DataUnavailable, match="/big"):
        await content(prepared_root, "/big")
    assert len(opened) == 2


class _BreakingFile:
    """A file whose connection drops."""

    def __init__(self, file: Any, after: int) -> None:
        self._file = file
        self._left = after

    def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise ConnectionResetError
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return bytes(data)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _BreakingFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


async def test_object_that_shrinks_while_it_is_read_is_an_error(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    await prepared_root.write("/x", chunks(b"123456"))
    entry = await prepared_root.entry("/x")
    await prepared_root.write("/x", chunks(b"12"), exists=IfExists.REPLACE)
    with pytest.raises(DataChanged, match="/x"):
        [chunk async for chunk in prepared_root.read(entry)]


async def test_hanging_filesystem_times_out(
    prepared_root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(prepared_root.backend, "entry", lambda path: ended.wait(60))
    prepared_root.deadline = 0.2
    try:
        with pytest.raises(DeadlineExceeded, match="/x"):
            await prepared_root.entry("/x")
    finally:
        ended.set()


async def test_small_objects_are_read_in_order_and_a_missing_one_is_named(
    data_root: DataRoot, chunks: Chunks
) -> None:
    await data_root.prepare()
    for name in ("a", "b", "c"):
        await data_root.write(f"/{name}", chunks(name.encode() * 10))
    await data_root.write("/none", chunks(b""))
    entries = [await data_root.entry(path) for path in ("/a", "/none", "/b", "/c")]
    assert await data_root.read_small(entries) == [b"a" * 10, b"", b"b" * 10, b"c" * 10]
    await data_root.remove("/b")
    with pytest.raises(PathNotFound, match="/b "):
        await data_root.read_small(entries)
