"""What a job may ask for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.errors import InvalidRequest, RefusedByPolicy, TooLarge
from nds_jupyter.job_request import JobRequest
from nds_jupyter.jobs import Limits, Network
from nds_jupyter.policy import Policy, admit, image_reference, parse_size

POLICY = Policy(
    default_image="nds/python:3.11",
    allowed_images=("nds/*", "python:*"),
    default_limits=Limits(cpus=1, memory=2**30, pids=64),
    max_limits=Limits(cpus=4, memory=2**32, pids=64),
    default_network=Network.BRIDGE,
    networks=(Network.BRIDGE, Network.NONE),
    max_timeout=None,
    max_script_bytes=1000,
)


def admit_with(**fields: object) -> object:
    return admit(JobRequest(**{"script": "print()", **fields}), POLICY)[0]


@pytest.mark.parametrize(
    ("name", "tag", "reference"),
    [
        ("python", None, "python:latest"),
        ("python", "3.11", "python:3.11"),
        ("python:3.11", None, "python:3.11"),
        ("127.0.0.1:5000/lab/tool", None, "127.0.0.1:5000/lab/tool:latest"),
        ("127.0.0.1:5000/lab/tool:1", None, "127.0.0.1:5000/lab/tool:1"),
        (f"python@sha256:{'a' * 64}", None, f"python@sha256:{'a' * 64}"),
    ],
)
def test_image_reference_is_completed(name: str, tag: str | None, reference: str) -> None:
    assert image_reference(name, tag) == reference


@pytest.mark.parametrize(
    ("name", "tag", "field"),
    [
        ("python:3.11", "3.12", "image_tag"),
        (f"python@sha256:{'a' * 64}", "3.12", "image_tag"),
        ("Python", None, "image_name"),
        ("", None, "image_name"),
        ("py thon", None, "image_name"),
        ("python", "", "image_tag"),
        ("python", "a/b", "image_tag"),
        ("--privileged", None, "image_name"),
    ],
)
def test_bad_image_is_named(name: str, tag: str | None, field: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^{field}:"):
        image_reference(name, tag)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512m", 512 * 2**20),
        ("2g", 2**31),
        ("1.5 GiB", 3 * 2**29),
        ("10", 10),
        (7, 7),
        ("1KB", 1024),
    ],
)
def test_size_is_read(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1g", "1x", "one", "1 2"])
def test_bad_size_is_named(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^memory:"):
        parse_size(text)


@pytest.mark.parametrize(
    ("fields", "error", "named"),
    [
        ({"script": None}, InvalidRequest, "neither"),
        ({"file": b"x"}, InvalidRequest, "both"),
        ({"script": ""}, InvalidRequest, "empty"),
        ({"script": "x" * 1001}, TooLarge, "1001 B"),
        ({"scriptname": "../x.py"}, InvalidRequest, "scriptname"),
        ({"scriptname": "x.unknown"}, InvalidRequest, "scriptname"),
        ({"scriptname": "n" * 253 + ".py"}, InvalidRequest, "scriptname"),
        ({"image_name": "evil/miner"}, RefusedByPolicy, "evil/miner:latest"),
        ({"image_tag": "1"}, InvalidRequest, "image_name"),
        ({"cpus": 8.0}, RefusedByPolicy, "cpus"),
        ({"cpus": 0.0}, InvalidRequest, "cpus"),
        ({"cpus": float("nan")}, InvalidRequest, "cpus"),
        ({"memory": "5g"}, RefusedByPolicy, "memory"),
        ({"memory": "1m"}, InvalidRequest, "memory"),
        ({"timeout": 0.0}, InvalidRequest, "timeout"),
        ({"timeout": float("inf")}, InvalidRequest, "timeout"),
        ({"command": ()}, InvalidRequest, "command"),
        ({"command": ("a",), "args": ("b",)}, InvalidRequest, "args"),
        ({"command": ("a\0",)}, InvalidRequest, "command"),
        ({"env": {"A=B": "c"}}, InvalidRequest, "env"),
        ({"env": {"": "c"}}, InvalidRequest, "env"),
        ({"labels": {"nds.owner": "root"}}, InvalidRequest, "labels"),
        ({"name": "a\nb"}, InvalidRequest, "name"),
        ({"data": "/zone/../x"}, InvalidRequest, "data"),
        ({"output": "/"}, InvalidRequest, "output"),
    ],
)
def test_refusal_names_the_field(
    fields: dict[str, object], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=re.escape(named)):
        admit_with(**fields)


def test_network_that_is_not_allowed_is_refused() -> None:
    import msgspec

    closed = msgspec.structs.replace(POLICY, networks=(Network.NONE,), default_network=Network.NONE)
    with pytest.raises(RefusedByPolicy, match="network"):
        admit(JobRequest(script="x", network=Network.BRIDGE), closed)
    assert admit(JobRequest(script="x"), closed)[0].network is Network.NONE


def test_defaults_fill_what_is_left_out() -> None:
    spec, script = admit(JobRequest(script="print('ä')"), POLICY)
    assert script == "print('ä')".encode()
    assert (spec.image, spec.limits, spec.scriptname) == (
        "nds/python:3.11",
        POLICY.default_limits,
        "script.py",
    )
    assert spec.timeout is None


@given(st.text(min_size=1, max_size=300))
def test_script_reaches_the_spec_verbatim(text: str) -> None:
    try:
        expected = text.encode()
    except UnicodeEncodeError:
        return
    assert admit(JobRequest(script=text, command=("x",)), POLICY)[1] == expected


@given(st.text(max_size=40), st.text(max_size=10) | st.none())
def test_any_image_name_is_a_reference_or_refused(name: str, tag: str | None) -> None:
    try:
        reference = image_reference(name, tag)
    except InvalidRequest:
        return
    assert image_reference(reference) == reference
    assert not set(reference) & set(" \n\0$`'\"")
