"""What `data` and `output` of a request mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.inputs import (
    RequestedInputs,
    parse_inputs,
    parse_output,
    split_target,
    unparse_input,
)
from nds_jupyter.jobs.job import Input
from nds_jupyter.jobs.logical_paths import logical_path


def logical(text: str, field: str) -> str:
    return logical_path(text.removeprefix("irods://"), "/zone/home/ada", field)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/a/b", ("/a/b", None)),
        ("/a:/b", ("/a", "/b")),
        ("/a:/b:/c", ("/a:/b", "/c")),
        ("irods:///zone/x", ("irods:///zone/x", None)),
        ("irods:///zone/x:/in/x", ("irods:///zone/x", "/in/x")),
        ("irods://h:1247/zone", ("irods://h:1247/zone", None)),
        ("a:b", ("a:b", None)),
        ("/a:/", ("/a", "/")),
        ("C://x", ("C://x", None)),
    ],
)
def test_cut_rule(text: str, parts: tuple[str, str | None]) -> None:
    assert split_target(text) == parts


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (None, {}),
        ("", {}),
        ("/a/x.csv", {"/a/x.csv": "/data/x.csv"}),
        ("x.csv", {"/zone/home/ada/x.csv": "/data/x.csv"}),
        ("/a/x\r\n\n /b/y ", {"/a/x": "/data/x", "/b/y": "/data/y"}),
        ('["/a/x", "/b y"]', {"/a/x": "/data/x", "/b y": "/data/b y"}),
        ('[{"path": "/a:/x", "to": "/in/x"}]', {"/a:/x": "/in/x"}),
        (("/a/x:/in/", "/b"), {"/a/x": "/in/x", "/b": "/data/b"}),
        (({"path": "/a"},), {"/a": "/data/a"}),
        ("irods:///zone/x:/in/y", {"/zone/x": "/in/y"}),
        ("/", {"/": "/data"}),
    ],
)
def test_forms_of_data(data: RequestedInputs, found: dict[str, str]) -> None:
    wanted = tuple(Input(path=path, to=to) for path, to in found.items())
    assert parse_inputs(data, logical) == wanted


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("/a/x\n/b/x", "/b/x"),
        ("/a:/nds/x", "/nds/x"),
        (({"path": "/", "to": "/"},), "not for data"),
        ("/a:/proc/1", "/proc"),
        ("/a:/x/../y", ".."),
        ("/a/../b", ".."),
        ('["/a"', "JSON"),
        ("[1]", "JSON"),
        (({"path": "/a", "form": "/b"},), "form"),
        (({"to": "/b"},), "empty"),
        (({"path": "/a", "to": "b"},), "absolute"),
        ("/a:/" + "n" * 256, "long"),
    ],
)
def test_malformed_data_is_named(data: RequestedInputs, named: str) -> None:
    with pytest.raises(InvalidRequest, match="data") as told:
        parse_inputs(data, logical)
    assert named in told.value.message


@given(st.text("ab:/.", min_size=1, max_size=12), st.text("ab:/.", max_size=12))
def test_inputs_written_out_mean_the_same_again(path: str, to: str) -> None:
    try:
        inputs = parse_inputs(({"path": f"/{path}", "to": f"/{to}"},), logical)
    except InvalidRequest:
        return
    (text,) = map(unparse_input, inputs)
    again = text if isinstance(text, str) else {"path": text.path, "to": text.to}
    assert parse_inputs((again,), logical) == inputs


def test_output_is_a_collection_of_its_own() -> None:
    assert parse_output(None, logical) is None
    assert parse_output(" ", logical) is None
    assert parse_output("runs/1/", logical) == "/zone/home/ada/runs/1"
    for bad in ("/", "/a/../b"):
        with pytest.raises(InvalidRequest, match="output"):
            parse_output(bad, logical)


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text("ab:/.", max_size=12))
def test_no_target_leaves_its_place(path: str, to: str) -> None:
    try:
        (found,) = parse_inputs(({"path": f"/{path}", "to": f"/{to}"},), logical)
    except InvalidRequest:
        return
    assert found.to.startswith("/")
    assert not {"", ".", ".."} & set(found.to.split("/")[1:])
