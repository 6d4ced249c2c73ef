"""Paths of the data root, and its URLs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.data.backend import Backend
from nds_jupyter.data.data_root import DataRoot
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.logical_paths import is_inside, logical_path


def test_urls_of_the_root_are_its_paths(backend: Backend, tmp_path: Path) -> None:
    data_root = DataRoot(backend)
    url = f"{backend.protocols[0]}://{backend.base}"
    assert data_root.parse_path(f"{url}/a/b") == "/a/b"
    assert data_root.parse_path(url) == "/"
    assert data_root.parse_path("a//./b/") == "/a/b"
    for outside in ("s3://bucket/x", f"{url}x/a", f"{url}/../x", "../x", "/a/../../b", "a\0b"):
        with pytest.raises(InvalidRequest):
            data_root.parse_path(outside)


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
