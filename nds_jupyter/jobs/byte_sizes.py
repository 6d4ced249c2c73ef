"""Parsing and formatting of byte sizes such as ``512m``."""

from __future__ import annotations

import re

from nds_jupyter.errors import InvalidRequest

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}

MAX_VALUE_BYTES = 2 * 2**30
"""Size of a notebook's variable that may travel into a job or back, unless a setting says more."""


def parse_size(text: str | int, field: str) -> int:
    """Return bytes from ``512m``, ``2g``, ``1.5 GiB`` or a number; units are binary."""
    if isinstance(text, int):
        return text
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(f"{field}: {text!r} is not a size. Write it like 512m or 2g.")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def size_text(size: int) -> str:
    """Return a number of bytes for people, in binary units: ``512 MiB``."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} TiB"
