"""References of images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nds_jupyter.admission.image_references import image_reference
from nds_jupyter.errors import InvalidRequest


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


@given(st.text(max_size=40), st.text(max_size=10) | st.none())
def test_any_image_name_is_a_reference_or_refused(name: str, tag: str | None) -> None:
    try:
        reference = image_reference(name, tag)
    except InvalidRequest:
        return
    assert image_reference(reference) == reference
    assert not set(reference) & set(" \n\0$`'\"")
