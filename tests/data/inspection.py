"""Helpers that read a data root back: content, listed names, hidden names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from nds_jupyter.data.data_root import DataRoot

Chunks = Callable[..., AsyncIterator[bytes]]


async def content(data_root: DataRoot, path: str, *span: int) -> bytes:
    entry = await data_root.entry(path)
    return b"".join([chunk async for chunk in data_root.read(entry, *span)])


async def listed_names(data_root: DataRoot, path: str) -> list[str]:
    return [entry.name for entry in (await data_root.list_page(path)).entries]


async def hidden_paths(data_root: DataRoot) -> list[str]:
    fs_path = data_root.backend.filesystem_path("/")
    names = await asyncio.to_thread(data_root.backend.fs.ls, fs_path, detail=False)
    return [name for name in names if ".nds-" in name]
