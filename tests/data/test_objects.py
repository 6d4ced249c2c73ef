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
from tests.data.looking import Pieces, content, listed
from tests.roots import AWKWARD


@pytest.mark.parametrize("name", [*AWKWARD, "~tilde", ".hidden", "plain"])
async def test_awkward_names_go_in_and_come_out(root: DataRoot, pieces: Pieces, name: str) -> None:
    path = f"/{name}"
    written = await root.write(path, pieces(b"content"))
    assert (written.name, written.path, written.size) == (name, path, 7)
    assert await listed(root, "/") == [name]
    assert await content(root, path) == b"content"
    moved = await root.move(path, "/plain2")
    assert (moved.path, await listed(root, "/")) == ("/plain2", ["plain2"])
    await root.move("/plain2", path)
    await root.make_collection(f"/c/{name}")
    assert (await root.entry(f"/c/{name}")).kind is Kind.COLLECTION
    await root.remove("/c", recursive=True)
    await root.remove(path)
    assert await listed(root, "/") == []


async def test_empty_object(root: DataRoot, pieces: Pieces) -> None:
    assert (await root.write("/empty", pieces(b""))).size == 0
    assert await content(root, "/empty") == b""


async def test_existing_object_is_replaced_only_when_asked(root: DataRoot, pieces: Pieces) -> None:
    await root.write("/x", pieces(b"one"))
    with pytest.raises(Conflict, match="/x"):
        await root.write("/x", pieces(b"two"))
    assert await content(root, "/x") == b"one"
    await root.write("/x", pieces(b"two"), exists=IfExists.REPLACE)
    assert await content(root, "/x") == b"two"
    assert (await content(root, "/x"), await listed(root, "/")) == (b"two", ["x"])


async def test_interrupted_write_leaves_nothing(root: DataRoot, pieces: Pieces) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            begun.set()
            await asyncio.sleep(0)

    await root.write("/x", pieces(b"old"))
    with pytest.raises(ConnectionError):
        await root.write("/x", broken(), exists=IfExists.REPLACE)
    begun = asyncio.Event()
    writing = asyncio.create_task(root.write("/x", endless(), exists=IfExists.REPLACE))
    await begun.wait()
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert await content(root, "/x") == b"old"
    full = root.backend.filesystem_path("/")
    assert [str(each).rpartition("/")[2] for each in root.backend.fs.ls(full, detail=False)] == [
        "x"
    ]


async def test_what_was_stored_wrongly_is_never_taken(
    root: DataRoot, pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root.backend, "has_digest", lambda path, digest: False)
    with pytest.raises(DataError, match="/x"):
        await root.write("/x", pieces(b"content"))
    assert await listed(root, "/") == []


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda root, pieces: root.entry("/none"), PathNotFound),
        (lambda root, pieces: root.list_page("/none"), PathNotFound),
        (lambda root, pieces: root.list_page("/x"), Conflict),
        (lambda root, pieces: root.remove("/none"), PathNotFound),
        (lambda root, pieces: root.remove("/c"), Conflict),
        (lambda root, pieces: root.remove("/"), Conflict),
        (lambda root, pieces: root.move("/none", "/z"), PathNotFound),
        (lambda root, pieces: root.move("/c", "/c/d"), Conflict),
        (lambda root, pieces: root.move("/x", "/c"), Conflict),
        (lambda root, pieces: root.move("/x", "/c/y"), Conflict),
        (lambda root, pieces: root.write("/c", pieces(b"")), Conflict),
        (lambda root, pieces: root.write("/none/z", pieces(b"")), PathNotFound),
        (lambda root, pieces: root.write("/x/z", pieces(b"")), (Conflict, PathNotFound)),
        (lambda root, pieces: root.replicas("/none"), PathNotFound),
        (lambda root, pieces: root.metadata("/none"), PathNotFound),
    ],
)
async def test_what_can_not_be_is_told(
    root: DataRoot, pieces: Pieces, act: Any, error: Any
) -> None:
    await root.make_collection("/c")
    await root.write("/x", pieces(b"x"))
    await root.write("/c/y", pieces(b"y"))
    with pytest.raises(error) as told:
        await act(root, pieces)
    assert root.backend.base not in str(told.value)
    assert (await content(root, "/x"), await content(root, "/c/y")) == (b"x", b"y")
