"""Times as people write them on a line."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

from IPython.core.error import UsageError

_LONG = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta | None:
    """Return how long ``90m`` or ``2h`` is; None for another text."""
    found = _LONG.fullmatch(text.strip())
    return timedelta(**{_UNITS[found[2]]: float(found[1])}) if found else None


def seconds(text: str) -> float:
    """Return the seconds of a number, or of a time like ``90m``, for an option."""
    long = span(text)
    try:
        return float(text) if long is None else long.total_seconds()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write it in seconds, or like 90m, 2h or 1d"
        ) from None


def instant(text: str) -> datetime:
    """Return the time that a text names: so long ago, or a date, local unless it has a zone."""
    ago = span(text)
    if ago is not None:
        return datetime.now(UTC) - ago
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as exc:
        raise UsageError(f"--since: {text!r} is no time. Write it like 2h or 2026-01-31.") from exc
