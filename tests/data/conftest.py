"""Data roots of every kind, each empty and its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot, open_backend
from tests.irods_zone.fixtures import AnyZone
from tests.roots import configure


@pytest.fixture(params=["folder", "memory", "irods"])
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    if request.param == "irods":
        zone = request.getfixturevalue("irods_zone")
        home = request.getfixturevalue("irods_home")
        yield backend_of_zone(zone, home, tmp_path, monkeypatch)
        return
    if request.param == "folder":
        yield open_backend(str(tmp_path / "root"))
    else:
        yield open_backend(f"memory://{secrets.token_hex(8)}")


def backend_of_zone(
    zone: AnyZone, collection: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """Return the root of a collection of a zone that is configured as its users do."""
    configure(zone, folder, monkeypatch)
    return open_backend(f"irods://{collection}")


@pytest.fixture
def data_root(backend: Backend, jp_asyncio_loop: object) -> DataRoot:
    return DataRoot(backend, threads=4)


@pytest.fixture
def prepared_root(
    data_root: DataRoot, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[DataRoot]:
    """Give an empty data root that is ready."""
    jp_asyncio_loop.run_until_complete(data_root.prepare())
    yield data_root
    jp_asyncio_loop.run_until_complete(data_root.close())


async def _chunks(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def chunks() -> Callable[..., AsyncIterator[bytes]]:
    return _chunks
