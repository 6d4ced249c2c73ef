"""What a job may ask for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.admission.policy import Policy, admit
from nds_jupyter.errors import InvalidRequest, RefusedByPolicy, TooLarge
from nds_jupyter.jobs.job import Limits, Network

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
