"""Tables as files: a frame returns as it was, or is refused with a sentence."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nds_jupyter.values import formats
from nds_jupyter.values.json_codec import NotSerializable

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint8": st.integers(0, 255),
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "bool": st.booleans(),
    "Int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "string": st.none() | TEXT,
    "object": st.none() | TEXT | st.integers() | st.dates() | st.binary(max_size=3),
    "datetime64[ns]": st.none() | MOMENTS,
    "timedelta64[ns]": st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999)),
    "category": TEXT,
}
LABELS = TEXT | st.integers(-3, 3) | st.none()


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(0, 4))
    labels = draw(st.lists(LABELS, max_size=4))
    columns = []
    for _ in labels:
        dtype = draw(st.sampled_from(sorted(COLUMNS)))
        values = draw(st.lists(COLUMNS[dtype], min_size=rows, max_size=rows))
        columns.append(pd.Series(values, dtype=dtype))
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(rows))
    frame.columns = pd.Index(labels, dtype=object if not labels else None)
    frame.index = draw(indexes(rows))
    return frame


@st.composite
def indexes(draw: st.DrawFn, rows: int) -> pd.Index:
    def several(each: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(each, min_size=rows, max_size=rows))

    kind = draw(st.sampled_from(["range", "text", "days", "zone", "levels"]))
    name = draw(st.none() | TEXT)
    if kind == "text":
        return pd.Index(several(TEXT), name=name, dtype=object if rows == 0 else None)
    if kind == "days":
        return pd.date_range("2024-01-01", periods=rows, freq="D", name=name)
    if kind == "zone":
        return pd.DatetimeIndex(several(MOMENTS), tz="UTC", name=name).tz_convert("Asia/Tokyo")
    if kind == "levels":
        levels = [several(st.integers(0, 3)), several(TEXT)]
        return pd.MultiIndex.from_arrays(levels, names=[name, None])
    return pd.RangeIndex(rows, name=name)


def round_trip(value: Any, suffix: str = ".arrow") -> Any:
    file = io.BytesIO()
    formats.dump(value, suffix, file)
    file.seek(0)
    return formats.load(suffix, file, False)


# A busy machine is slow at making frames, which says nothing of them.
steadily = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
@given(frame=frames())
@steadily
def test_frame_returns_as_it_was_or_is_refused(frame: pd.DataFrame, suffix: str) -> None:
    # Parquet keeps the categories of those that are there.
    assume(suffix == ".arrow" or "category" not in map(str, frame.dtypes) or len(frame))
    try:
        back = round_trip(frame, suffix)
    except NotSerializable:
        return
    # Whole numbers and times that were kept as objects return as numbers and times.
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = frame[name].astype(back[name].dtype)
    pd.testing.assert_frame_equal(back, frame)


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
@pytest.mark.parametrize("moments", [[], ["2024-02-29 12:00:01", None]])
def test_times_in_whole_seconds_return_as_such(suffix: str, moments: list[str | None]) -> None:
    index = pd.DatetimeIndex(moments, tz="Asia/Tokyo").as_unit("s")
    frame = pd.DataFrame({"at": index.tz_localize(None)}, index=index)
    assert "datetime64[s]" in map(str, frame.dtypes)
    pd.testing.assert_frame_equal(round_trip(frame, suffix), frame)
    clock = pa.table({"t": pa.array([1, None], pa.time32("s")), "n": [1, 2]})
    assert round_trip(clock, suffix).equals(clock)


@given(values=st.lists(st.floats()), name=st.none() | TEXT | st.integers(-(2**63), 2**63 - 1))
@steadily
def test_series_returns_with_its_name(values: list[float], name: object) -> None:
    series = pd.Series(values, dtype=float, name=name)
    pd.testing.assert_series_equal(round_trip(series), series)


COMMON = {
    "empty": pd.DataFrame(),
    "columns alone": pd.DataFrame(columns=["a", "b"]),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="int32")}),
    "levels of rows": pd.DataFrame(
        {"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])
    ),
    "levels of columns": pd.DataFrame(
        [[1.0, 2.0]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    ),
    "numbers as names": pd.DataFrame([[1, 2]], columns=[0, 1]),
    "zones and nanoseconds": pd.DataFrame(
        {"when": pd.to_datetime(["2024-01-01T12:00:00.123456789", None]).tz_localize("UTC")}
    ),
    "nothing and unicode": pd.DataFrame({"text": ["é\n🙂", None], "number": [1.5, float("nan")]}),
    "categories": pd.DataFrame({"kind": pd.Categorical(["b", "a"], ["b", "a"], ordered=True)}),
    "periods": pd.DataFrame({"p": pd.period_range("2024-01", periods=2, freq="M")}),
    "intervals": pd.DataFrame({"i": pd.interval_range(0, 2)}),
    "decimals and dates": pd.DataFrame(
        {"d": [Decimal("1.10"), None], "day": [dt.date(2024, 2, 29), None]}
    ),
    "big numbers": pd.DataFrame({"n": [2**63 - 1, -(2**63)], "u": pd.array([2**64 - 1, 0], "u8")}),
}


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
@pytest.mark.parametrize("name", COMMON)
def test_tables_that_people_have_return(name: str, suffix: str) -> None:
    pd.testing.assert_frame_equal(round_trip(COMMON[name], suffix), COMMON[name])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "same name"),
        (pd.DataFrame([[1, 2]], columns=["a", 1]), "columns would not return"),
        (pd.DataFrame({"a": [[1], [2]]}), "lists or dictionaries"),
        (pd.DataFrame({"a": [{"b": 1}, {"c": 1}]}), "lists or dictionaries"),
        (pd.DataFrame({"a": [1, "x"]}), "Arrow can't hold it"),
        (pd.DataFrame({"a": [2**70]}), "Arrow can't hold it"),
        (pd.DataFrame({"a": [object()]}), "Arrow can't hold it"),
        (pd.DataFrame({"a": [1j]}), "Arrow can't hold it"),
        (pd.DataFrame({"a": pd.array([0, 1], "Sparse[int]")}), "Sparse"),
        (pd.DataFrame({"a": pd.Series([1, None], dtype=object)}), "Int64"),
        (pd.DataFrame({"a": [dt.date(2000, 1, 1), 0]}), "mixes kinds"),
        (pd.DataFrame({"a": [dt.date(2000, 1, 1), dt.datetime(2000, 1, 1, 5)]}), "mixes kinds"),
        (pd.DataFrame({"a": ["text", b"bytes", None]}), "mixes kinds"),
        (pd.DataFrame(index=range(3)), "no columns"),
    ],
)
def test_table_that_would_change_is_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(NotSerializable, match=message):
        round_trip(frame)


def test_table_of_arrow_returns_with_nested_columns() -> None:
    table = pa.table({"a": [[1, 2], None], "b": [{"x": 1}, {"x": None}]})
    assert round_trip(table).equals(table)
    noted = table.replace_schema_metadata({b"mine": b"1"})
    assert round_trip(noted).schema.metadata == {b"mine": b"1"}


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_feather_of_other_languages_becomes_a_frame(compression: str) -> None:
    from pyarrow import feather

    file = io.BytesIO()
    feather.write_feather(pa.table({"a": [1, 2]}), file, compression=compression)
    file.seek(0)
    pd.testing.assert_frame_equal(formats.load(".arrow", file, False), pd.DataFrame({"a": [1, 2]}))


def test_csv_has_the_index_unless_it_counts() -> None:
    file = io.BytesIO()
    formats.dump(pd.DataFrame({"a": ["é"]}), ".csv", file)
    formats.dump(pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="k")), ".csv", file)
    assert file.getvalue().decode() == "a\né\nk,a\nx,1\n"
    pd.testing.assert_frame_equal(
        formats.load(".csv", io.BytesIO(b"a,b\n1,x\n"), False), pd.DataFrame({"a": [1], "b": ["x"]})
    )
