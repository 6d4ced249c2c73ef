"""Attribute, value, unit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem

TEXT = st.text("ab'%ü<&> ", min_size=1, max_size=4).filter(lambda text: text.strip() == text)
AVUS = st.frozensets(
    st.builds(Avu, name=TEXT, value=TEXT, unit=st.one_of(st.just(""), TEXT)), max_size=4
)


@pytest.fixture(params=["object", "collection"])
def path(request: pytest.FixtureRequest, fs: IrodsFileSystem, irods_home: str) -> str:
    if request.param == "object":
        fs.pipe_file(f"{irods_home}/x", b"")
        return f"{irods_home}/x"
    return irods_home


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(avus=AVUS)
def test_what_is_set_is_what_there_is(fs: IrodsFileSystem, path: str, avus: frozenset[Avu]) -> None:
    fs.set_metadata(path, avus)
    assert set(fs.metadata(path)) == avus


def test_metadata_is_added_and_removed(fs: IrodsFileSystem, path: str) -> None:
    one, two = Avu(name="a", value="1"), Avu(name="a", value="1", unit="m")
    fs.add_metadata(path, [one])
    fs.add_metadata(path, [one, two])
    assert fs.metadata(path) == (one, two)
    fs.remove_metadata(path, [one])
    fs.remove_metadata(path, [one])
    assert fs.metadata(path) == (two,)


def test_metadata_needs_a_path_and_a_value(fs: IrodsFileSystem, path: str) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        fs.metadata(f"{path}/none")
    with pytest.raises(ValueError, match="value"):
        fs.add_metadata(path, [Avu(name="a", value="")])
