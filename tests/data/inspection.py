"""What tests see of a data root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from nds_jupyter.data.data_root import DataRoot

Pieces = Callable[..., AsyncIterator[bytes]]


async def content(store: DataRoot, path: str, *span: int) -> bytes:
    entry = await store.entry(path)
    return b"".join([piece async for piece in store.read(entry, *span)])


async def listed(store: DataRoot, path: str) -> list[str]:
    return [entry.name for entry in (await store.list_page(path)).entries]


async def hidden(store: DataRoot) -> list[str]:
    full = store.backend.filesystem_path("/")
    names = await asyncio.to_thread(store.backend.fs.ls, full, detail=False)
    return [name for name in names if ".nds-" in name]
