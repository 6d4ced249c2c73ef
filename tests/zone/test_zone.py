"""Operations of a client in the zone for tests, as in a real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from irods import exception
from irods.models import Collection, DataObject

from tests.irods_zone.fixtures import AnyZone

MEBIBYTE = 1 << 20


def test_what_is_written_is_read_back(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as session:
        with session.data_objects.open(f"{irods_home}/x", "w") as opened:
            opened.write(b"hello")
        with session.data_objects.open(f"{irods_home}/x", "r+") as opened:
            opened.seek(1)
            opened.write(b"a")
        with session.data_objects.open(f"{irods_home}/x", "r") as opened:
            assert opened.read() == b"hallo"


def test_a_large_file_passes_over_several_connections(
    irods_zone: AnyZone, irods_home: str, tmp_path: Path
) -> None:
    content = os.urandom(MEBIBYTE) * 40
    (tmp_path / "there").write_bytes(content)
    with irods_zone.session() as session:
        session.data_objects.put(str(tmp_path / "there"), f"{irods_home}/big", regChksum="")
        session.data_objects.get(f"{irods_home}/big", str(tmp_path / "back"))
        found = session.data_objects.get(f"{irods_home}/big")
    assert (tmp_path / "back").read_bytes() == content
    assert found.checksum.startswith("sha2:")
    assert found.replica_status == "1"


@pytest.mark.parametrize("size", [2, 100])
def test_pages_of_both_query_languages_agree(
    irods_zone: AnyZone, irods_home: str, size: int
) -> None:
    names = ["it's ü &<>.txt", "a", "b b", "c%d", "C"]
    with irods_zone.session() as session:
        for name in names:
            session.data_objects.open(f"{irods_home}/{name}", "w").close()
        asked = session.query(DataObject.name).filter(Collection.name == irods_home)
        old = [row[DataObject.name] for row in asked.order_by(DataObject.name).limit(size)]
        new: list[str] = []
        while True:
            after = (new[-1] if new else "").replace("'", "''")
            page = session.genquery2(
                f"select DATA_NAME where COLL_NAME = '{irods_home}' and DATA_NAME > '{after}'"
                f" order by DATA_NAME limit {size}"
            )
            if not page:
                break
            new += [row[0] for row in page]
    assert old == new
    assert sorted(names) == sorted(new)


def test_what_may_not_be_read_does_not_exist(irods_zone: AnyZone, irods_home: str) -> None:
    with irods_zone.session() as own, irods_zone.session("alice") as other:
        own.data_objects.open(f"{irods_home}/x", "w").close()
        assert not other.collections.exists(irods_home)
        with pytest.raises(exception.OBJ_PATH_DOES_NOT_EXIST):
            other.data_objects.open(f"{irods_home}/x", "r")
