"""Attribute, value, unit."""

from __future__ import annotations

import errno

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from irods.meta import iRODSMeta
from irods.models import Collection

from nds_jupyter.data.entries import Avu
from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods_zone.fixtures import AnyZone

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


def test_what_is_too_long_is_refused_before_any_is_stored(fs: IrodsFileSystem, path: str) -> None:
    good = Avu(name="a", value="1")
    for long in (
        Avu(name="n" * 2701, value="1"),
        Avu(name="n", value="v" * 2701),
        Avu(name="n", value="ü" * 1351),
        Avu(name="n", value="1", unit="u" * 251),
    ):
        for change in (fs.add_metadata, fs.set_metadata):
            with pytest.raises(OSError, match=f"{path}: .* has [0-9]+ bytes") as refused:
                change(path, [good, long])
            assert refused.value.errno == errno.E2BIG
    assert fs.metadata(path) == ()
    longest = Avu(name="n" * 2700, value="ü" * 1350, unit="u" * 250)
    fs.set_metadata(path, [longest])
    assert fs.metadata(path) == (longest,)


def test_what_another_client_made_too_long_is_listed_and_removed(
    fs: IrodsFileSystem, irods_zone: AnyZone, irods_home: str
) -> None:
    with irods_zone.session() as session:
        session.metadata.add(Collection, irods_home, iRODSMeta("n", "ü" * 2000))
    (long,) = fs.metadata(irods_home)
    assert long == Avu(name="n", value="ü" * 2000)
    fs.add_metadata(irods_home, [Avu(name="a", value="1")])
    fs.remove_metadata(irods_home, [long])
    assert fs.metadata(irods_home) == (Avu(name="a", value="1"),)
