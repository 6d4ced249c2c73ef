"""A real Jupyter server with the extension, for the tests of the routes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.engine.fake import FakeEngine
from tests.handlers.asking import Ask


@pytest.fixture
def owner() -> str:
    """Give an owner of whom the shared engine has no jobs yet."""
    return f"ada-{secrets.token_hex(4)}"


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.engine)])
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Say which engine the server has: `docker`, or `fake` where a test module asks for it."""
    return str(request.param)


@pytest.fixture
def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def engine_traits(engine_kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if engine_kind == "docker":
        return {"engine_url": request.getfixturevalue("docker_engine_url")}
    engine: FakeEngine = request.getfixturevalue("fake_engine")
    return {"engine_factory": lambda app: engine}


@pytest.fixture
def jp_server_config(engine_traits: dict[str, Any], owner: str, tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"nds_jupyter": True}},
        "NdsApp": {
            **engine_traits,
            "default_image": "nds/shell:test",
            "allowed_images": ["nds/*", "missing/*"],
            "journal_dir": str(tmp_path / "journal"),
            "data_root": str(tmp_path / "stored"),
            "owner": owner,
            "max_running": 4,
            "max_script_bytes": 1000,
        },
    }


@pytest.fixture
def nds(jp_serverapp: Any, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    # The hook that a server calls once its event loop runs; the fixture has no such moment.
    app = next(iter(jp_serverapp.extension_manager.extension_apps["nds_jupyter"]))
    jp_asyncio_loop.run_until_complete(app._start_jupyter_server_extension(jp_serverapp))
    yield app
    os.environ.pop("NDS_URL_OF_SERVER")
    assert "token" not in os.environ.pop("NDS_URL")


@pytest.fixture
def ask(nds: Any, jp_fetch: Any) -> Ask:
    async def ask(verb: str, path: str, body: object = None, /, **query: object) -> HTTPResponse:
        given = {key: str(value) for key, value in query.items()}
        content = None if body is None and verb == "GET" else json.dumps(body or {})
        return await jp_fetch(
            "nds",
            *path.strip("/").split("/"),
            method=verb,
            params=given,
            body=None if verb in {"GET", "HEAD", "DELETE"} else content,
            headers={"Content-Type": "application/json"},
            raise_error=False,
        )

    return ask
