"""A zone as the data root."""

from __future__ import annotations

from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.data.irods.object_descriptors import BLOCK
from nds_jupyter.errors import (
    DataError,
    DataLoginRefused,
    DeadlineExceeded,
    Forbidden,
)
from tests.data.conftest import backend_of_zone
from tests.data.inspection import listed_names
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


async def test_root_shows_only_the_zone_of_the_account(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_root = DataRoot(backend_of_zone(irods_zone, "", tmp_path, monkeypatch))
    assert data_root.home == irods_zone.home()
    assert await listed_names(data_root, "/") == [irods_zone.name]
    assert (await data_root.entry(data_root.home)).is_collection
    with pytest.raises(Forbidden, match="/otherZone/home"):
        await data_root.entry("/otherZone/home")
    await data_root.close()


@pytest.mark.parametrize(
    ("fault", "error", "named"),
    [
        ("password", DataLoginRefused, "iinit"),
        ("down", DeadlineExceeded, "in time"),
        ("stalled", DeadlineExceeded, "in time"),
        ("settings", DataError, "can't be used"),
    ],
)
async def test_faults_of_the_zone_are_errors_that_say_what_to_do(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    error: type[Exception],
    named: str,
) -> None:
    if fault == "settings":
        monkeypatch.setenv("IRODS_ENVIRONMENT_FILE", str(tmp_path / "none"))
        data_root = DataRoot(open_backend("irods://"))
    else:
        backend = backend_of_zone(faulty_zone, "", tmp_path, monkeypatch)
        data_root = DataRoot(backend, deadline=30)
    if fault == "password":
        monkeypatch.setenv("IRODS_PASSWORD", "wrong")
        data_root = DataRoot(open_backend("irods://"))
    elif fault == "down":
        data_root.deadline = 1.0
        faulty_zone.faults.refuse()
    elif fault == "stalled":
        data_root.deadline = 1.0
        faulty_zone.faults.stall(times=100)
    with pytest.raises(error, match=named):
        await data_root.list_page(f"/{faulty_zone.name}/home")
    faulty_zone.faults.clear()
    await data_root.close()


def test_partial_object_is_written_at_its_own_path(
    irods_zone: AnyZone, irods_home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a temporary name already: another one would cost a rename, and be on no record."""
    backend = backend_of_zone(irods_zone, irods_home, tmp_path, monkeypatch)
    partial, target = f"{irods_home}/.nds-1.part", f"{irods_home}/x"
    for size in (1, BLOCK + 1):
        file = backend.open_write(partial, target)
        file.write(b"1" * size)
        file.close()
        assert backend.fs.ls(irods_home, detail=False) == [partial]
