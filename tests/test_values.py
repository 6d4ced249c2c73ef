"""Values as files: what goes in comes out, and nothing that is read can run code."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.values import codec
from nds_jupyter.values.bundle import make_bundle

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
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


def there_and_back(value: object, *, allow_pickle: bool = False) -> tuple[str, Any]:
    suffix = codec.suffix_of(value, allow_pickle)
    file = io.BytesIO()
    codec.dump(value, suffix, file)
    file.seek(0)
    return suffix, codec.load(suffix, file, allow_pickle)


@given(VALUES)
def test_plain_values_return_as_they_were(value: object) -> None:
    suffix, back = there_and_back(value)
    assert suffix == ".json"
    assert back == value
    assert type(back) is type(value)


def test_not_a_number_and_infinity_return() -> None:
    _, back = there_and_back([math.nan, math.inf, -math.inf, {1: math.nan}])
    assert math.isnan(back[0])
    assert back[1:3] == [math.inf, -math.inf]


def test_table_returns_with_its_types_and_index() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2024-01-01T12:00:00.123456789", None]).tz_localize("UTC"),
            "text": ["é\n\0", None],
            "kind": pd.Categorical(["a", "b"]),
            "number": [1.5, math.nan],
        },
        index=pd.Index(["x", "y"], name="row"),
    )
    suffix, back = there_and_back(frame)
    assert suffix == ".arrow"
    pd.testing.assert_frame_equal(back, frame)
    series = frame["number"]
    pd.testing.assert_series_equal(there_and_back(series)[1], series)
    table = pa.table({"a": [[1, 2], None]})
    assert there_and_back(table)[1].equals(table)


@pytest.mark.parametrize("dtype", ["f8", "i1", "c16", "bool", "U3", "M8[ns]"])
def test_array_returns_with_shape_and_type(dtype: str) -> None:
    array = np.zeros((2, 0, 3) if dtype == "i1" else (2, 3), dtype=dtype)
    suffix, back = there_and_back(array)
    assert suffix == ".npy"
    assert (back.dtype, back.shape) == (array.dtype, array.shape)


def test_number_of_numpy_becomes_plain() -> None:
    assert there_and_back([np.float64(0.5), np.int32(3)])[1] == [0.5, 3]


def test_object_needs_a_pickle_that_is_allowed() -> None:
    value = range(3)
    with pytest.raises(codec.NotPortable, match="range"):
        codec.suffix_of(value, allow_pickle=False)
    assert there_and_back(value, allow_pickle=True) == (".pickle", value)
    with pytest.raises(codec.NotPortable, match="pickle"):
        codec.load(".pickle", io.BytesIO(pickle.dumps(1)), allow_pickle=False)
    objects = np.array([object()], dtype=object)
    with pytest.raises(codec.NotPortable):
        codec.suffix_of(objects, allow_pickle=False)


def test_array_of_a_stranger_runs_nothing() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    file.seek(0)
    with pytest.raises(ValueError, match="allow_pickle"):
        codec.load(".npy", file, allow_pickle=True)


def test_value_that_cannot_travel_says_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r"--in model: a builtins\.range") as error:
        make_bundle("", {"model": range(3)}, [], allow_pickle=False, path="/nds/cell.py")
    assert "--pickle" in str(error.value)
    assert "--data" in str(error.value)


def launch(
    folder: Path, cell: str, values: dict[str, object], out: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run a bundle as a container does, with an isolated interpreter."""
    content, _ = make_bundle(cell, values, out, allow_pickle=False, path="/nds/cell.py")
    archive = folder / "cell.pyz"
    archive.write_bytes(content)
    return subprocess.run(
        [sys.executable, "-I", archive], capture_output=True, text=True, check=False, cwd=folder
    )


def test_cell_believes_to_be_a_plain_script(tmp_path: Path) -> None:
    cell = (
        "import sys, json, __main__\n"
        "class Mine: pass\n"
        "print(json.dumps([__name__, __file__, sys.argv, sys.path[0], x,"
        " __main__.Mine is Mine]))\n"
    )
    done = launch(tmp_path, cell, {"x": [1, "é"]}, [])
    assert json.loads(done.stdout) == [
        "__main__",
        "/nds/cell.py",
        ["/nds/cell.py"],
        "/nds",
        [1, "é"],
        True,
    ]
    assert done.stderr == ""


def test_error_of_a_cell_shows_the_cell_alone(tmp_path: Path) -> None:
    done = launch(tmp_path, "def f():\n    return 1 / 0\nf()\n", {"x": 1}, [])
    assert done.returncode == 1
    assert "launcher" not in done.stderr
    assert 'File "/nds/cell.py", line 2, in f\n    return 1 / 0' in done.stderr


def test_missing_variable_fails_with_a_sentence(tmp_path: Path) -> None:
    done = launch(tmp_path, "pass", {}, ["total"])
    assert done.returncode == 1
    assert done.stderr == "--out total: the script ended without a variable total.\n"


@pytest.mark.parametrize(("code", "expected"), [("3", 3), ("'why'", 1), ("0", 1)])
def test_exit_code_of_the_cell_counts(tmp_path: Path, code: str, expected: int) -> None:
    done = launch(tmp_path, f"raise SystemExit({code})", {}, ["total"])
    assert done.returncode == expected
