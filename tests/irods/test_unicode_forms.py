"""Names in two Unicode forms: one is found by the other, and none is made beside the other."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem

NFC, NFD = (unicodedata.normalize(form, "Öl/ü é.txt") for form in ("NFC", "NFD"))
MIXED = f"{NFD.partition('/')[0]}/{NFC.partition('/')[2]}"


@pytest.mark.parametrize("there", [NFC, NFD, MIXED])
@pytest.mark.parametrize("named", [NFC, NFD])
def test_the_other_form_is_found_and_said(
    fs: IrodsFileSystem,
    irods_home: str,
    there: str,
    named: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real, path = f"{irods_home}/{there}", f"{irods_home}/{named}"
    fs.pipe_file(real, b"1")
    with caplog.at_level(logging.WARNING, "nds_jupyter.data.irods"):
        assert fs.info(path)["name"] == real
    assert (ascii(real) in caplog.text) == (there != named)
    assert fs.exists(path)
    assert fs.cat_file(path) == b"1"
    above, real_above = path.rpartition("/")[0], real.rpartition("/")[0]
    assert fs.ls(above, detail=False) == [real]
    assert [each.path for each in fs.ls_page(above).entries] == [real]
    assert fs.find(above) == [real]
    assert fs.isdir(real_above)
    fs.set_metadata(path, [Avu(name="a", value="b")])
    assert fs.metadata(real) == (Avu(name="a", value="b"),)
    assert len(fs.replicas(path)) == 1
    fs.get_file(path, str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"1"
    fs.mv(path, f"{irods_home}/moved")
    assert fs.cat_file(f"{irods_home}/moved") == b"1"
    fs.rm(above, recursive=True)
    assert not fs.exists(real_above)


@pytest.mark.parametrize(("there", "named"), [(NFC, NFD), (NFD, NFC)])
def test_no_two_names_are_made_that_look_alike(
    fs: IrodsFileSystem, irods_home: str, there: str, named: str, tmp_path: Path
) -> None:
    real, path = f"{irods_home}/{there}", f"{irods_home}/{named}"
    fs.pipe_file(real, b"1")
    fs.pipe_file(f"{irods_home}/x", b"2")
    local = tmp_path / "local"
    local.write_bytes(b"3")
    collection = path.rpartition("/")[0]
    changes: list[Callable[[], object]] = [
        lambda: fs.pipe_file(path, b"2"),
        lambda: fs.put_file(str(local), path),
        lambda: fs.put(str(local), path),
        lambda: fs.cp(f"{irods_home}/x", path),
        lambda: fs.mv(f"{irods_home}/x", path),
        lambda: fs.mkdir(path),
        lambda: fs.makedirs(f"{collection}/new", exist_ok=True),
        lambda: fs.pipe_file(f"{collection}/new", b"2"),
    ]
    for change in changes:
        with pytest.raises(FileExistsError, match="looks the same"):
            change()
    assert fs.find(irods_home, withdirs=True) == sorted(
        [irods_home, real.rpartition("/")[0], real, f"{irods_home}/x"]
    )
    assert fs.cat_file(real) == b"1"
    fs.pipe_file(real, b"again")
    assert fs.cat_file(path) == b"again"
