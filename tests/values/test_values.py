"""Values as files: what goes in comes out, and nothing that is read can run code."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import math
import pickle
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nds_jupyter.errors import InvalidRequest, TooLarge
from nds_jupyter.values import formats
from nds_jupyter.values.bundle import (
    MAX_INLINE,
    RequestedValue,
    ValueOptions,
    bundle_cell,
    bundle_script,
    write_value_file,
)
from nds_jupyter.values.json_codec import NotSerializable

OPTIONS = ValueOptions(allow_pickle=False, max_size=2**30)


def _whole_seconds(offset: dt.timedelta) -> dt.timedelta:
    return dt.timedelta(seconds=offset // dt.timedelta(seconds=1))


ZONES = (
    st.none()
    | st.timezones()
    | st.builds(
        dt.timezone,
        st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(_whole_seconds),
    )
)

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 30_000).map(lambda bits: -(1 << bits))
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.dates()
    | st.times(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.datetimes(
        dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1), timezones=ZONES, allow_imaginary=False
    )
    | st.decimals(allow_nan=False)
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.integers() | st.sampled_from([("a", 1), "$nds"]), inner)
        | st.frozensets(ATOMS)
    ),
    max_leaves=20,
)


def round_trip(value: object, *, allow_pickle: bool = False) -> tuple[str, Any]:
    suffix = formats.choose_suffix(value, allow_pickle)
    file = io.BytesIO()
    formats.dump(value, suffix, file)
    file.seek(0)
    return suffix, formats.load(suffix, file, allow_pickle)


@given(VALUES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_plain_values_return_as_they_were(value: object) -> None:
    suffix, back = round_trip(value)
    assert suffix == ".json"
    assert back == value
    assert type(back) is type(value)


def test_not_a_number_and_infinity_return() -> None:
    _, back = round_trip([math.nan, math.inf, -math.inf, {1: math.nan}])
    assert math.isnan(back[0])
    assert back[1:3] == [math.inf, -math.inf]


@pytest.mark.parametrize("dtype", ["f8", "i1", "c16", "bool", "U3", "M8[ns]"])
def test_array_returns_with_shape_and_type(dtype: str) -> None:
    array = np.zeros((2, 0, 3) if dtype == "i1" else (2, 3), dtype=dtype)
    suffix, back = round_trip(array)
    assert suffix == ".npy"
    assert (back.dtype, back.shape) == (array.dtype, array.shape)


def test_number_of_numpy_becomes_plain() -> None:
    assert round_trip([np.float64(0.5), np.int32(3)])[1] == [0.5, 3]


def test_object_needs_a_pickle_that_is_allowed() -> None:
    value = range(3)
    with pytest.raises(NotSerializable, match="range"):
        formats.choose_suffix(value, allow_pickle=False)
    assert round_trip(value, allow_pickle=True) == (".pickle", value)
    with pytest.raises(NotSerializable, match="pickle"):
        formats.load(".pickle", io.BytesIO(pickle.dumps(1)), allow_pickle=False)
    objects = np.array([object()], dtype=object)
    with pytest.raises(NotSerializable):
        formats.choose_suffix(objects, allow_pickle=False)


def test_array_of_a_stranger_runs_nothing() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    file.seek(0)
    with pytest.raises(ValueError, match="allow_pickle"):
        formats.load(".npy", file, allow_pickle=True)


def test_times_keep_their_zone_and_the_hour_that_comes_twice() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    hours = [dt.datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1)]
    _, back = round_trip([*hours, pd.Timestamp("2024-03-01", tz="Europe/Berlin")])
    assert [each.utcoffset() for each in back] == [dt.timedelta(hours=h) for h in (2, 1, 1)]
    assert [each.tzinfo for each in back[:2]] == [berlin, berlin]
    assert str(back[2].tz) == "Europe/Berlin"


def test_what_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(NotSerializable, match="holds itself"):
        formats.choose_suffix(value, allow_pickle=False)


@pytest.mark.parametrize(
    ("value", "suffix"), [("é\n", ".txt"), (b"\0", ".bin"), ([1], ".json"), (np.eye(2), ".npy")]
)
def test_other_languages_get_text_and_bytes_as_they_are(value: object, suffix: str) -> None:
    file = write_value_file(
        RequestedValue(name="x"),
        value,
        ValueOptions(allow_pickle=False, max_size=2**20, for_python=False),
    )
    assert file.to == f"/nds/in/x{suffix}"
    content = file.content()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    file.close()
    back = formats.load(suffix, io.BytesIO(content), False)
    assert np.array_equal(back, value)


@pytest.mark.parametrize("text", ["x.exe", "x.", "1x", "x y", ".csv", "x.tar.gz", ""])
def test_only_names_and_known_formats_are_taken(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--in"):
        RequestedValue.parse(text, "--in")


@pytest.mark.parametrize(
    ("value", "suffix", "message"),
    [
        ([1], ".csv", "no table"),
        ([1], ".npy", "no array"),
        (1, ".txt", "not int"),
        (1, ".pickle", "--pickle"),
    ],
)
def test_format_that_does_not_fit_says_so(value: object, suffix: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        write_value_file(RequestedValue(name="x", suffix=suffix), value, OPTIONS)


@pytest.mark.parametrize("value", [np.zeros(1000), "x" * 1000, [1] * 1000])
def test_value_over_the_limit_names_data(value: object) -> None:
    with pytest.raises(TooLarge, match="--data"):
        write_value_file(
            RequestedValue(name="x"), value, ValueOptions(allow_pickle=False, max_size=999)
        )


def test_value_that_cannot_travel_says_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r"--in model: a builtins\.range") as error:
        write_value_file(RequestedValue(name="model"), range(3), OPTIONS)
    assert "--pickle" in str(error.value)
    assert "--data" in str(error.value)


def test_small_values_travel_in_the_archive_and_large_ones_beside_it() -> None:
    large = np.zeros(MAX_INLINE, "u1")
    values = {RequestedValue(name="small"): 1, RequestedValue(name="large"): large}
    bundle = bundle_cell("", values, [], OPTIONS, path="/nds/cell.py")
    assert list(bundle.files) == ["/nds/in/large.npy"]
    assert bundle.sizes == {"small": 1, "large": MAX_INLINE + 128}
    assert len(bundle.script) < MAX_INLINE
    for file in bundle.files.values():
        file.close()
    other = bundle_script("cat", {RequestedValue(name="small"): 1}, OPTIONS)
    assert (other.script, list(other.files)) == ("cat", ["/nds/in/small.json"])
    other.files["/nds/in/small.json"].close()
