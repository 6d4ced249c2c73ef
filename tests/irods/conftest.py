"""The filesystem over a zone: the real one of `NDS_TEST_IRODS_ENV`, else one of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone

Connect = Callable[..., IrodsFileSystem]


@pytest.fixture(autouse=True)
def no_account_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Keep what the developer has configured out of the tests."""
    monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "none.json"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("IRODS_PASSWORD", "IRODS_HOST", "IRODS_USER_NAME", "IRODS_ZONE_NAME"):
        monkeypatch.delenv(name, raising=False)


def connect_to(zone: AnyZone, user: str | None = None, **options: Any) -> IrodsFileSystem:
    """Return a filesystem of a user, not shared with other tests."""
    who = () if user is None else (user,)
    return IrodsFileSystem(
        password=zone.password(*who),
        skip_instance_cache=True,
        **{**zone.environment(*who), **options},
    )


@pytest.fixture
def connect(irods_zone: AnyZone) -> Iterator[Connect]:
    """Connect to the zone as a user."""
    made: list[IrodsFileSystem] = []

    def connect(user: str | None = None, **options: Any) -> IrodsFileSystem:
        made.append(connect_to(irods_zone, user, **options))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture
def fs(connect: Connect) -> IrodsFileSystem:
    """Give the filesystem of the zone's first user."""
    return connect()


@pytest.fixture
def faulty_fs(faulty_zone: Zone) -> Iterator[IrodsFileSystem]:
    """Give a filesystem over a zone in which things go wrong on demand."""
    made = connect_to(faulty_zone, timeout=5.0, patience=20.0)
    yield made
    made.close()
