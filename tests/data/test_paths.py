"""Paths of the data root, and its URLs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot, open_backend
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.logical_paths import is_inside, logical_path
from tests.data.conftest import backend_of_zone
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
