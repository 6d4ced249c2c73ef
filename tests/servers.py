"""A real Jupyter server on a real engine, one for all tests that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, jupyter_server


@pytest.fixture(scope="session")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a Jupyter server with the extension; a module may have another one in its place."""
    folder = tmp_path_factory.mktemp("server")
    with jupyter_server(docker_engine, PYTHON_IMAGE, folder) as started:
        yield started
