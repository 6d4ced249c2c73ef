"""Pages of a listing: cursors, and queries that overlap."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.data.entries import ListingCursor
from nds_jupyter.data.irods import IrodsFileSystem
from tests.irods.conftest import connect_to
from tests.irods_zone.codes import Api, Status
from tests.irods_zone.zone import Zone


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_of_nothing_is_refused(fs: IrodsFileSystem, irods_home: str, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        fs.ls_page(irods_home, limit=limit)


@given(
    first=st.one_of(st.none(), st.text(st.characters(exclude_characters="/"))),
    second=st.one_of(st.none(), st.text(st.characters(exclude_characters="/"))),
)
def test_a_cursor_is_read_as_it_was_written(first: str | None, second: str | None) -> None:
    cursor = ListingCursor(collection=first, data_object=second)
    text = cursor.encode()
    assert text is None if first is second is None else ListingCursor.decode(str(text)) == cursor


def test_both_kinds_are_asked_for_at_one_time(faulty_zone: Zone) -> None:
    fs = connect_to(faulty_zone)
    home, calls = faulty_zone.home(), faulty_zone.faults.calls
    fs.mkdir(f"{home}/b")
    faulty_zone.fill(home, ["a", "c"])
    calls.clear()
    faulty_zone.faults.stall(Api.GENQUERY2, times=2)
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(fs.ls_page, home)
        end = time.monotonic() + 60
        while calls.count(Api.GENQUERY2) < 2:
            assert time.monotonic() < end, f"only {calls} were called"
            time.sleep(0.01)
        faulty_zone.faults.clear()
        assert [entry.name for entry in page.result().entries] == ["b", "a", "c"]
    fs.close()


@pytest.mark.parametrize("nth", [1, 2])
def test_an_error_of_either_question_is_the_error_of_the_page(faulty_zone: Zone, nth: int) -> None:
    fs = connect_to(faulty_zone)
    fs.ls_page(faulty_zone.home())
    faulty_zone.faults.fail(Status.NO_PERMISSION, Api.GENQUERY2, nth=nth)
    with pytest.raises(PermissionError, match=faulty_zone.home()):
        fs.ls_page(faulty_zone.home())
    assert fs.ls_page(faulty_zone.home()).entries == ()
    fs.close()
