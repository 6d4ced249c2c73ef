"""A real Jupyter server with the extension, for the tests of the routes."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fake import FakeEngine
from tests.handlers.websocket_client import Connect, EventsClient


@pytest.fixture
def owner() -> str:
    """Give an owner of whom the shared engine has no jobs yet."""
    return f"ada-{secrets.token_hex(4)}"


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.engine)])
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Say which engine the server has: `docker`; `fake` or `none` where a test asks for it."""
    return str(request.param)


@pytest.fixture
def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def engine_traits(engine_kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if engine_kind == "docker":
        return {"engine_url": request.getfixturevalue("docker_engine_url")}
    if engine_kind == "none":
        return {"engine_url": "tcp://127.0.0.1:9"}
    engine: FakeEngine = request.getfixturevalue("fake_engine")
    return {"engine_factory": lambda app: engine}


@pytest.fixture
def data_traits(tmp_path: Path) -> dict[str, Any]:
    """Give where the data is: a folder, unless a test module has another root."""
    return {"data_root": str(tmp_path / "stored")}


@pytest.fixture
def jp_server_config(
    engine_traits: dict[str, Any], data_traits: dict[str, Any], owner: str, tmp_path: Path
) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"nds_jupyter": True, "jupyter_server_terminals": False}
        },
        "NdsApp": {
            **engine_traits,
            **data_traits,
            "default_image": "nds/shell:test",
            "allowed_images": ["nds/*", "missing/*"],
            "journal_dir": str(tmp_path / "journal"),
            "owner": owner,
            "max_running": 4,
            "max_script_bytes": 1000,
        },
    }


@pytest.fixture
def connect(nds: Any, jp_ws_fetch: Any) -> Iterator[Connect]:
    """Open pages, which are told of jobs; the first message has come."""
    clients: list[EventsClient] = []

    async def connect(**query: str) -> EventsClient:
        client = EventsClient(await jp_ws_fetch("nds", "events", params=query))
        clients.append(client)
        await client.next()
        return client

    yield connect
    for client in clients:
        client.socket.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of a megabyte, to be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    assert mount is not None
    assert umount is not None
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run([umount, "-l", str(folder)], check=True)
