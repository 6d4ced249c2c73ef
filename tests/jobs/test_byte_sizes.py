"""Amounts of bytes, written and read."""

from __future__ import annotations

import pytest

from nds_jupyter.errors import InvalidRequest
from nds_jupyter.jobs.byte_sizes import parse_size, size_text


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
    assert parse_size(text, "memory") == size


@pytest.mark.parametrize("text", ["", "m", "-1g", "1x", "one", "1 2"])
def test_bad_size_is_named(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^memory:"):
        parse_size(text, "memory")


def test_size_text() -> None:
    assert size_text(512 * 2**20) == "512 MiB"
    assert size_text(3) == "3 B"
