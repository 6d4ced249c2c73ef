"""Real Jupyter servers on a real engine, whose jobs no other test sees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, jupyter_server


def isolated_server(
    endpoint: Endpoint, image: str, folder: Path, arguments: Sequence[str] = (), **options: Any
) -> AbstractContextManager[Server]:
    """Run a Jupyter server with an owner of its own, the same one for the same folder.

    Servers that other processes of the run have on this engine would else show their jobs.
    """
    owner = f"--NdsApp.owner=test-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    return jupyter_server(endpoint, image, folder, [owner, *arguments], **options)


@pytest.fixture(scope="session")
def server(docker_engine: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a Jupyter server with the extension; a module may have another one in its place."""
    folder = tmp_path_factory.mktemp("server")
    with isolated_server(docker_engine, PYTHON_IMAGE, folder) as started:
        yield started
