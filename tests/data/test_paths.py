"""Paths of the data root, and its URLs."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.data.input_plan import make_plan
from nds_jupyter.data.object_writer import IfExists
from nds_jupyter.errors import Conflict, InvalidRequest
from nds_jupyter.jobs.job import Input
from nds_jupyter.jobs.logical_paths import is_inside, logical_path
from tests.data.conftest import backend_of_zone
from tests.data.inspection import Chunks, content, listed_names
from tests.irods_zone.fixtures import AnyZone


def test_urls_of_the_root_are_its_paths(backend: Backend, tmp_path: Path) -> None:
    data_root = DataRoot(backend)
    url = f"{backend.protocols[0]}://{backend.base}"
    assert data_root.parse_path(f"{url}/a/b") == "/a/b"
    assert data_root.parse_path(url) == "/"
    assert data_root.parse_path("a//./b/") == "/a/b"
    for outside in ("s3://bucket/x", f"{url}x/a", f"{url}/../x", "../x", "/a/../../b", "a\0b"):
        with pytest.raises(InvalidRequest):
            data_root.parse_path(outside)


@pytest.mark.parametrize("head", ["", "/nds", "/user/a@b/nds"])
def test_url_of_a_row_is_its_path(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    root = DataRoot(backend_of_zone(irods_zone, "", tmp_path, monkeypatch), url_head=head)
    path = f"{irods_zone.home()}/a b/data/50% [ü]?.csv"
    rows = [f"{head}/data{quote(path)}", f"{head}/list_data?path={quote(path)}"]
    # A gateway has a prefix of its own.
    rows += [f"/user/bob/nds/data{quote(path)}", f"/hub/list_data?path={quote(path, safe='')}"]
    for text in (path, f"irods://{path}", *rows):
        assert root.parse_path(text) == path


def test_url_of_a_row_of_a_folder_needs_the_prefix_of_the_routes(tmp_path: Path) -> None:
    root = DataRoot(open_backend(str(tmp_path)), url_head="/nds")
    assert root.parse_path("/nds/data/a%20b") == "/a b"
    assert root.parse_path("/nds/list_data?path=/a%20b") == "/a b"
    assert root.parse_path("/other/data/a%20b") == "/other/data/a%20b"
    assert root.parse_path("nds/data/x") == "/nds/data/x"
    bare = DataRoot(open_backend(str(tmp_path)))
    assert bare.parse_path("/data/x") == "/data/x"


async def test_path_that_is_there_means_itself(tmp_path: Path) -> None:
    root = DataRoot(open_backend(str(tmp_path)), url_head="/nds")
    (tmp_path / "nds/data").mkdir(parents=True)
    (tmp_path / "nds/data/x").write_text("1")
    assert await root.find_path("/nds/data/x") == "/nds/data/x"
    assert await root.find_path("/nds/data/y") == "/y"


def test_url_of_a_zone_names_its_server(
    irods_zone: AnyZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backend_of_zone(irods_zone, irods_zone.home(), tmp_path, monkeypatch)
    root, known = DataRoot(backend), irods_zone.environment()
    host, port = known["irods_host"], known["irods_port"]
    home = irods_zone.home()
    for authority in (f"{host}:{port}", f"alice@{host}:{port}", host.upper(), "alice@", ""):
        assert root.parse_path(f"irods://{authority}{home}/x") == "/x"
    for authority in ("other.example.org", f"{host}:1", irods_zone.name):
        with pytest.raises(InvalidRequest, match=f"names the server {authority.split(':')[0]}"):
            root.parse_path(f"irods://{authority}{home}/x")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
async def test_names_that_look_the_same_are_one(
    prepared_root: DataRoot, chunks: Chunks, forms: tuple[str, str]
) -> None:
    there, named = (unicodedata.normalize(form, "/Öl/ü") for form in forms)
    above, above_named = there.rpartition("/")[0], named.rpartition("/")[0]
    await prepared_root.make_collection(above)
    await prepared_root.write(there, chunks(b"1"))
    assert (await prepared_root.entry(named)).path == there
    assert await content(prepared_root, named) == b"1"
    assert [entry.path for entry in (await prepared_root.list_page(above_named)).entries] == [there]
    plan = await make_plan(prepared_root, (Input(path=above_named, to="/data"),), 10)
    assert [each.entry.path for each in plan.entries] == [above, there]
    await prepared_root.make_collection("/x")
    for change in (
        prepared_root.write(named, chunks(b"2"), exists=IfExists.REPLACE),
        prepared_root.make_collection(above_named),
        prepared_root.move("/x", named),
    ):
        with pytest.raises(Conflict, match="looks the same"):
            await change
    assert sorted(await listed_names(prepared_root, "/")) == sorted([above[1:], "x"])


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_logical_paths_are_normal_and_inside(text: str) -> None:
    try:
        path = logical_path(text)
    except InvalidRequest:
        return
    assert logical_path(path) == path
    assert is_inside(path, "/")
    assert not {"", ".", ".."} & set(path.split("/")[1:]) or path == "/"


@pytest.mark.parametrize("text", ["/a" * 1000, "/" + "n" * 256, "/" + "ü" * 128, "/\ud800"])
def test_paths_that_no_container_could_open_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        logical_path(text)
