"""Data objects, whatever filesystem the data root is on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Kind
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import (
    Conflict,
    DataError,
    PathNotFound,
)
from tests.data.inspection import Chunks, content, listed_names
from tests.roots import AWKWARD


@pytest.mark.parametrize("name", [*AWKWARD, "~tilde", ".hidden", "plain"])
async def test_awkward_names_go_in_and_come_out(
    prepared_root: DataRoot, chunks: Chunks, name: str
) -> None:
    path = f"/{name}"
    written = await prepared_root.write(path, chunks(b"content"))
    assert (written.name, written.path, written.size) == (name, path, 7)
    assert await listed_names(prepared_root, "/") == [name]
    assert await content(prepared_root, path) == b"content"
    moved = await prepared_root.move(path, "/plain2")
    assert (moved.path, await listed_names(prepared_root, "/")) == ("/plain2", ["plain2"])
    await prepared_root.move("/plain2", path)
    await prepared_root.make_collection(f"/c/{name}")
    assert (await prepared_root.entry(f"/c/{name}")).kind is Kind.COLLECTION
    await prepared_root.remove("/c", recursive=True)
    await prepared_root.remove(path)
    assert await listed_names(prepared_root, "/") == []


async def test_empty_object(prepared_root: DataRoot, chunks: Chunks) -> None:
    assert (await prepared_root.write("/empty", chunks(b""))).size == 0
    assert await content(prepared_root, "/empty") == b""


async def test_existing_object_is_replaced_only_when_asked(
    prepared_root: DataRoot, chunks: Chunks
) -> None:
    await prepared_root.write("/x", chunks(b"one"))
    with pytest.raises(Conflict, match="/x"):
        await prepared_root.write("/x", chunks(b"two"))
    assert await content(prepared_root, "/x") == b"one"
    await prepared_root.write("/x", chunks(b"two"), exists=IfExists.REPLACE)
    assert await content(prepared_root, "/x") == b"two"
    assert (await content(prepared_root, "/x"), await listed_names(prepared_root, "/")) == (
        b"two",
        ["x"],
    )


async def test_interrupted_write_leaves_nothing(prepared_root: DataRoot, chunks: Chunks) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            begun.set()
            await asyncio.sleep(0)

    await prepared_root.write("/x", chunks(b"old"))
    with pytest.raises(ConnectionError):
        await prepared_root.write("/x", broken(), exists=IfExists.REPLACE)
    begun = asyncio.Event()
    writing = asyncio.create_task(prepared_root.write("/x", endless(), exists=IfExists.REPLACE))
    await begun.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert await content(prepared_root, "/x") == b"old"
    full = prepared_root.backend.filesystem_path("/")
    assert [
        str(each).rpartition("/")[2] for each in prepared_root.backend.fs.ls(full, detail=False)
    ] == ["x"]


async def test_object_with_a_wrong_digest_is_removed(
    prepared_root: DataRoot, chunks: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_root.backend, "has_digest", lambda path, digest: False)
    with pytest.raises(DataError, match="/x"):
        await prepared_root.write("/x", chunks(b"content"))
    assert await listed_names(prepared_root, "/") == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda prepared_root, chunks: prepared_root.entry("/none"), PathNotFound),
        (lambda prepared_root, chunks: prepared_root.list_page("/none"), PathNotFound),
        (lambda prepared_root, chunks: prepared_root.list_page("/x"), Conflict),
        (lambda prepared_root, chunks: prepared_root.remove("/none"), PathNotFound),
        (lambda prepared_root, chunks: prepared_root.remove("/c"), Conflict),
        (lambda prepared_root, chunks: prepared_root.remove("/"), Conflict),
        (lambda prepared_root, chunks: prepared_root.move("/none", "/z"), PathNotFound),
        (lambda prepared_root, chunks: prepared_root.move("/c", "/c/d"), Conflict),
        (lambda prepared_root, chunks: prepared_root.move("/x", "/c"), Conflict),
        (lambda prepared_root, chunks: prepared_root.move("/x", "/c/y"), Conflict),
        (lambda prepared_root, chunks: prepared_root.write("/c", chunks(b"")), Conflict),
        (lambda prepared_root, chunks: prepared_root.write("/none/z", chunks(b"")), PathNotFound),
        (
            lambda prepared_root, chunks: prepared_root.write("/x/z", chunks(b"")),
            (Conflict, PathNotFound),
        ),
        (lambda prepared_root, chunks: prepared_root.replicas("/none"), PathNotFound),
        (lambda prepared_root, chunks: prepared_root.metadata("/none"), PathNotFound),
    ],
)
async def test_impossible_operations_are_errors(
    prepared_root: DataRoot, chunks: Chunks, act: Any, error: Any
) -> None:
    await prepared_root.make_collection("/c")
    await prepared_root.write("/x", chunks(b"x"))
    await prepared_root.write("/c/y", chunks(b"y"))
    with pytest.raises(error) as told:
        await act(prepared_root, chunks)
    assert prepared_root.backend.base not in str(told.value)
    assert (await content(prepared_root, "/x"), await content(prepared_root, "/c/y")) == (
        b"x",
        b"y",
    )
