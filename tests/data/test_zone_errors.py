"""What a zone refuses, as the data root's users are told it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.data.entries import Avu
from nds_jupyter.errors import (
    Conflict,
    DataBusy,
    DataError,
    DataUnavailable,
    Forbidden,
    InvalidRequest,
    NdsError,
)
from tests.data.conftest import backend_of_zone
from tests.irods_zone.codes import Api
from tests.irods_zone.fixtures import AnyZone
from tests.irods_zone.zone import Zone


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (-406_000, DataBusy, "is being written by somebody else"),
        (-1_803_000, DataBusy, "no replica of it can be used now"),
        (-721_000, DataBusy, "fetched from the archive"),
        (-510_002, DataError, "its file is missing in the storage"),
        (-520_013, DataError, r"UNIX_FILE_MKDIR_ERR \(-520013, Permission denied\)"),
        (-78_000, DataError, "no such storage resource"),
        (-1_816_000, DataError, "part of another one"),
        (-166_000, DataBusy, "no replica"),
        (-1_201_000, DataError, r"RE_PARSER_ERROR \(-1201000\)"),
        (-5_555_000, DataError, r"without a name \(-5555000\)"),
        (-105_000, DataUnavailable, "storage behind it is down"),
        (-317_000, InvalidRequest, "iRODS does not take this path"),
        (-818_000, Forbidden, "no permission"),
    ],
)
async def test_each_code_is_told_in_a_sentence(
    faulty_zone: Zone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    kind: type[NdsError],
    said: str,
) -> None:
    data_root = DataRoot(backend_of_zone(faulty_zone, "", tmp_path, monkeypatch))
    path = f"{data_root.home}/x"
    with faulty_zone.session() as session:
        session.data_objects.create(path)
    faulty_zone.faults.fail(code, Api.OPEN, times=100)
    with pytest.raises(kind, match=said) as told:
        await data_root.call(path, lambda fs_path: data_root.backend.read_range(fs_path, 0, 1))
    assert type(told.value) is kind
    assert told.value.message.endswith((".", "later", "zone"))
    await data_root.close()


async def test_a_collection_that_is_not_empty_is_said_to_be(
    irods_zone: AnyZone, irods_home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_root = DataRoot(backend_of_zone(irods_zone, "", tmp_path, monkeypatch))
    await data_root.make_collection(f"{irods_home}/c/d")
    with pytest.raises(Conflict, match=f"{irods_home}/c is not empty"):
        await data_root.remove(f"{irods_home}/c")
    await data_root.remove(f"{irods_home}/c", recursive=True)
    assert await data_root.find(f"{irods_home}/c") is None
    await data_root.close()


async def test_metadata_that_is_too_long_is_a_malformed_request(
    irods_zone: AnyZone, irods_home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_root = DataRoot(backend_of_zone(irods_zone, "", tmp_path, monkeypatch))
    with pytest.raises(InvalidRequest, match="2701 bytes"):
        await data_root.set_metadata(irods_home, (Avu(name="n", value="v" * 2701),))
    await data_root.close()
