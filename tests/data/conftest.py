"""Data roots of every kind, each empty and its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.root import open_backend
from nds_jupyter.data.store import DataStore


@pytest.fixture(params=["folder", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "folder":
        return open_backend(str(tmp_path / "root"))
    return open_backend(f"memory://{secrets.token_hex(8)}")


@pytest.fixture
def store(backend: Backend, jp_asyncio_loop: object) -> DataStore:
    return DataStore(backend, threads=4)


async def _pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def pieces() -> Callable[..., AsyncIterator[bytes]]:
    return _pieces
