"""fsspec's own suites."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fsspec.tests import abstract

from nds_jupyter.data.irods import IrodsFileSystem


class IrodsFixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, fs: IrodsFileSystem) -> IrodsFileSystem:
        return fs

    @pytest.fixture
    def fs_path(self, irods_home: str) -> str:
        return irods_home

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)


class TestCopy(abstract.AbstractCopyTests, IrodsFixtures):
    pass


class TestGet(abstract.AbstractGetTests, IrodsFixtures):
    pass


class TestPut(abstract.AbstractPutTests, IrodsFixtures):
    pass


class TestOpen(abstract.AbstractOpenTests, IrodsFixtures):
    pass


class TestPipe(abstract.AbstractPipeTests, IrodsFixtures):
    pass
