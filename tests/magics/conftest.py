"""Kernels of a real server on a real engine, one per module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.jupyter import Server
from tests.magics.notebook import Notebook, open_notebook


@pytest.fixture(scope="module")
def notebook(server: Server) -> Iterator[Notebook]:
    with open_notebook(server) as opened:
        yield opened


@pytest.fixture(scope="module")
def second_notebook(server: Server) -> Iterator[Notebook]:
    with open_notebook(server) as opened:
        yield opened
