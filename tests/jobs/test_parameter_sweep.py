"""Sweeps: which points they have, and what the script of each finds."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from nds_jupyter.errors import InvalidRequest, TooLarge
from nds_jupyter.jobs.parameter_sweep import (
    expand_points,
    point_name,
    sweep_environment,
    sweep_points,
)
from nds_jupyter.magics.job_options import parse_sweep_values

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
SCALARS = st.one_of(st.integers(), st.booleans(), st.text(max_size=5))


@given(st.dictionaries(NAMES, st.lists(SCALARS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_crossing_has_every_combination_once(lists: dict[str, list[object]]) -> None:
    sweep = {name: tuple(values) for name, values in lists.items()}
    found = expand_points(sweep)  # type: ignore[arg-type]
    assert len(found) == math.prod(map(len, lists.values()))
    assert all(list(point) == list(sweep) for point in found)
    assert all(point[name] in sweep[name] for point in found for name in point)


def test_the_last_name_changes_fastest_and_points_keep_their_order() -> None:
    assert expand_points({"a": (1, 2), "b": ("x", "y")}) == (
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    )
    given = ({"a": 1}, {"b": 2.5})
    assert expand_points(given) == given


@pytest.mark.parametrize("sweep", [{}, (), {"a": ()}, ({},), {"a-b": (1,)}, {"a=": (1,)}])
def test_what_is_no_sweep_is_refused(sweep: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^sweep: "):
        expand_points(sweep)  # type: ignore[arg-type]


def test_too_many_points_are_refused_before_they_are_made() -> None:
    with pytest.raises(TooLarge, match="1000000000000 points"):
        expand_points(dict.fromkeys("abcd", tuple(range(1000))))


def test_script_finds_its_point_as_variables_and_as_json() -> None:
    place = sweep_points({"lr": (0.1,), "deep": (True,), "kind": ("a b",)}, 3)[0]
    found = sweep_environment(place)
    assert json.loads(found.pop("NDS_SWEEP")) == {"lr": 0.1, "deep": True, "kind": "a b"}
    assert found == {"NDS_SWEEP_LR": "0.1", "NDS_SWEEP_DEEP": "true", "NDS_SWEEP_KIND": "a b"}
    assert point_name("train", place.values) == "train lr=0.1 deep=true kind=a b"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lr=0.1,0.01", (0.1, 0.01)),
        ("seed=range(3)", (0, 1, 2)),
        ("seed=range(2, 8, 3)", (2, 5)),
        ("kind=adam,sgd", ("adam", "sgd")),
        ("on=True,False", (True, False)),
        ("one=5", (5,)),
    ],
)
def test_line_of_a_sweep_gives_values(text: str, values: tuple[object, ...]) -> None:
    assert parse_sweep_values(text) == (text.partition("=")[0], values)


@pytest.mark.parametrize("text", ["lr", "=1", "lr=", "a b=1", "n=range(0,5,0)"])
def test_line_that_is_no_sweep_says_so(text: str) -> None:
    with pytest.raises(UsageError, match="--sweep"):
        parse_sweep_values(text)
