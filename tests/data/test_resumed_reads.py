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
from tests.data.looking import Pieces, content


async def test_large_object_is_read_in_ranges(root: DataRoot, pieces: Pieces) -> None:
    data = bytes(range(256)) * (CHUNK // 256 * 2 + 3)
    await root.write("/big", pieces(data, 2**20))
    assert await content(root, "/big") == data
    for start, stop in ((0, 1), (CHUNK - 1, CHUNK + 1), (5, len(data)), (7, 7)):
        assert await content(root, "/big", start, stop) == data[start:stop]


async def test_dropped_connection_is_taken_up_where_it_broke(
    root: DataRoot, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * (CHUNK // 256 * 7 // 2)
    await root.write("/big", pieces(data, 2**20))
    opened: list[int] = []
    open_read = root.backend.open_read

    def flaky(path: str, start: int) -> Any:
        opened.append(start)
        file = open_read(path, start)
        if len(opened) > failures:
            return file
        return _Breaks(file, after=CHUNK)

    monkeypatch.setattr(root.backend, "open_read", flaky)
    failures = 2
    assert await content(root, "/big") == data
    assert opened == [0, CHUNK, 2 * CHUNK]
    failures, root.retries = 99, 1
    opened.clear()
    with pytest.raises(DataUnavailable, match="/big"):
        await content(root, "/big")
    assert len(opened) == 2


class _Breaks:
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

    def __enter__(self) -> _Breaks:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


async def test_object_that_shrinks_while_it_is_read_is_told(root: DataRoot, pieces: Pieces) -> None:
    await root.write("/x", pieces(b"123456"))
    entry = await root.entry("/x")
    await root.write("/x", pieces(b"12"), exists=IfExists.REPLACE)
    with pytest.raises(DataChanged, match="/x"):
        [piece async for piece in root.read(entry)]


async def test_filesystem_that_hangs_is_given_up(
    root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(root.backend, "entry", lambda path: ended.wait(60))
    root.deadline = 0.2
    try:
        with pytest.raises(DeadlineExceeded, match="/x"):
            await root.entry("/x")
    finally:
        ended.set()


async def test_small_objects_are_read_in_order_and_a_missing_one_is_named(
    store: DataRoot, pieces: Pieces
) -> None:
    await store.prepare()
    for name in ("a", "b", "c"):
        await store.write(f"/{name}", pieces(name.encode() * 10))
    await store.write("/none", pieces(b""))
    entries = [await store.entry(path) for path in ("/a", "/none", "/b", "/c")]
    assert await store.read_small(entries) == [b"a" * 10, b"", b"b" * 10, b"c" * 10]
    await store.remove("/b")
    with pytest.raises(PathNotFound, match="/b "):
        await store.read_small(entries)
