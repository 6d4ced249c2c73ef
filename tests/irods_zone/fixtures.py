"""The fixtures of the iRODS tests: a zone of our own, or the real one that is named."""

from __future__ import annotations

import contextlib
import gc
import os
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import fsspec
import pytest
from irods.exception import CollectionDoesNotExist
from irods.session import iRODSSession

from tests.irods_zone.real_zone import RealZone
from tests.irods_zone.zone import Zone


class AnyZone(Protocol):
    """What tests may use of a zone, whether it is a real one or ours."""

    @property
    def name(self) -> str:
        """The zone's name, the first part of every path."""

    def session(self, user: str = ..., **options: Any) -> iRODSSession:
        """Give a session of a user."""

    def environment(self, user: str = ..., **changes: object) -> dict[str, Any]:
        """Give what `irods_environment.json` says for a user."""

    def password(self, user: str = ...) -> str:
        """Give a user's password."""

    def home(self, user: str = ...) -> str:
        """Give a user's home collection."""


@pytest.fixture(scope="session")
def irods_zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyZone]:
    """Give a zone: the real one of `NDS_TEST_IRODS_ENV`, else one of our own."""
    named = os.environ.get("NDS_TEST_IRODS_ENV")
    if named:
        with contextlib.closing(RealZone(named)) as real:
            yield real
        return
    with Zone(tmp_path_factory.mktemp("irods") / "zone") as zone:
        yield zone


@pytest.fixture
def irods_home(irods_zone: AnyZone) -> Iterator[str]:
    """Give an empty collection that is gone after the test."""
    yield from _collection(irods_zone)


@pytest.fixture(scope="module")
def irods_home_of_module(irods_zone: AnyZone) -> Iterator[str]:
    """Give an empty collection that is gone after the tests of a module."""
    yield from _collection(irods_zone)


def _collection(irods_zone: AnyZone) -> Iterator[str]:
    path = f"{irods_zone.home()}/test-{uuid.uuid4().hex[:12]}"
    with irods_zone.session() as session:
        session.collections.create(path)
    yield path
    with irods_zone.session() as session, contextlib.suppress(CollectionDoesNotExist):
        session.collections.get(path).remove(recurse=True, force=True)


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server give a zone that refuses it up soon, as one may configure it for fsspec."""
    monkeypatch.setitem(fsspec.config.conf, "irods", {"patience": 1.0})


@pytest.fixture
def faulty_zone(tmp_path: Any) -> Iterator[Zone]:
    """Give a zone of our own in which things go wrong on demand, never a real one.

    The client leaves the sockets of broken connections to the garbage collector, so tests that
    break them carry `pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")`.
    """
    with Zone(tmp_path / "irods-zone") as zone:
        yield zone
        gc.collect()
