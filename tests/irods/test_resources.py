"""Storage resources that are down, full or unknown, told in a sentence of their own."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from nds_jupyter.data.irods import IrodsFileSystem, ZoneUnavailable
from nds_jupyter.data.irods.object_descriptors import BLOCK
from tests.irods.conftest import Connect, connect_to
from tests.irods_zone.store import RESOURCE
from tests.irods_zone.zone import Zone


def test_a_resource_that_is_down_is_told(faulty_zone: Zone, tmp_path: Path) -> None:
    fs = connect_to(faulty_zone)
    fs.pipe_file(f"{fs.home}/x", b"1")
    faulty_zone.set_resource(RESOURCE, is_up=False)
    (tmp_path / "file").write_bytes(b"2")
    for change in (
        lambda: fs.pipe_file(f"{fs.home}/new", b"2"),
        lambda: fs.pipe_file(f"{fs.home}/large", b"2" * (BLOCK + 1)),
        lambda: fs.pipe_file(f"{fs.home}/x", b"2"),
        lambda: fs.put_file(str(tmp_path / "file"), f"{fs.home}/new"),
        lambda: fs.cat_file(f"{fs.home}/x"),
        lambda: fs.open(f"{fs.home}/x"),
        lambda: fs.mv(f"{fs.home}/x", f"{fs.home}/z"),
        lambda: fs.rm(f"{fs.home}/x"),
    ):
        with pytest.raises(ZoneUnavailable, match="the storage behind it is down") as told:
            change()
        assert told.value.errno == errno.EHOSTDOWN
        assert "DEBUG" not in str(told.value)
    fs.mkdir(f"{fs.home}/c")
    assert fs.ls(fs.home, detail=False) == [f"{fs.home}/c", f"{fs.home}/x"]
    faulty_zone.set_resource(RESOURCE, is_up=True)
    assert fs.cat_file(f"{fs.home}/x") == b"1"


def test_a_resource_that_is_not_there_is_told(
    connect: Connect, fs: IrodsFileSystem, irods_home: str
) -> None:
    fs.pipe_file(f"{irods_home}/x", b"1")
    lost = connect(irods_default_resource="no-such-resource")
    for change in (
        lambda: lost.pipe_file(f"{irods_home}/new", b"2"),
        lambda: lost.pipe_file(f"{irods_home}/large", b"2" * (BLOCK + 1)),
    ):
        with pytest.raises(OSError, match="no such storage resource") as told:
            change()
        assert told.value.errno == errno.ENODEV
        assert "cpp" not in str(told.value)
    assert fs.find(irods_home) == [f"{irods_home}/x"]
