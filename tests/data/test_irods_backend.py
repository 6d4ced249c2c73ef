"""A zone as the data root."""

from __future__ import annotations

from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.errors import (
    DataError,
    DataLoginRefused,
    DeadlineExceeded,
    Forbidden,
)
from tests.data.conftest import zone_root
from tests.data.looking import listed
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


async def test_only_the_own_zone_is_there_unless_another_is_configured(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DataRoot(zone_root(irods_zone, "", tmp_path, monkeypatch))
    assert store.home == irods_zone.home()
    assert await listed(store, "/") == [irods_zone.name]
    assert (await store.entry(store.home)).is_collection
    with pytest.raises(Forbidden, match="/otherZone/home"):
        await store.entry("/otherZone/home")
    await store.close()


@pytest.mark.parametrize(
    ("trouble", "error", "named"),
    [
        ("password", DataLoginRefused, "iinit"),
        ("down", DeadlineExceeded, "in time"),
        ("stalled", DeadlineExceeded, "in time"),
        ("settings", DataError, "can't be used"),
    ],
)
async def test_trouble_with_the_zone_says_what_to_do(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
    error: type[Exception],
    named: str,
) -> None:
    if trouble == "settings":
        monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "none"))
        store = DataRoot(open_backend("irods://"))
    else:
        backend = zone_root(faulty_zone, "", tmp_path, monkeypatch)
        store = DataRoot(backend, deadline=30)
    if trouble == "password":
        monkeypatch.setenv("IRODS_PASSWORD", "wrong")
        store = DataRoot(open_backend("irods://"))
    elif trouble == "down":
        store.deadline = 1.0
        faulty_zone.faults.refuse()
    elif trouble == "stalled":
        store.deadline = 1.0
        faulty_zone.faults.stall(times=100)
    with pytest.raises(error, match=named):
        await store.list_page(f"/{faulty_zone.name}/home")
    faulty_zone.faults.clear()
    await store.close()
