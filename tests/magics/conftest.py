"""A real server on a real engine, and a kernel of it, one per module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, jupyter_server
from tests.magics.notebook import Notebook, open_notebook


@pytest.fixture(scope="module")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with jupyter_server(docker_engine, PYTHON_IMAGE, folder) as started:
        yield started


@pytest.fixture(scope="module")
def notebook(server: Server) -> Iterator[Notebook]:
    with open_notebook(server) as opened:
        yield opened


@pytest.fixture(scope="module")
def second_notebook(server: Server) -> Iterator[Notebook]:
    with open_notebook(server) as opened:
        yield opened
