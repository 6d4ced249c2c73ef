"""Parameter sweeps: the points of a parameter space, one job for each."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from nds_jupyter.errors import InvalidRequest, TooLarge

Scalar = str | int | float | bool
Point = dict[str, Scalar]
Sweep = dict[str, tuple[Scalar, ...]] | tuple[Point, ...]
"""Lists to be crossed, by name; or the points themselves."""

MAX_POINTS = 10_000
LONGEST_JOB_NAME = 200
"""Characters of the name of a job."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SweepPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A job's place in a sweep.

    Parameters
    ----------
    sweep_id
        The same for all jobs of one request.
    index, total
        Which point it is, from 0, and how many there are.
    most_at_once
        Jobs of the sweep that run at one time; None for no bound of its own.
    """

    sweep_id: str
    index: int
    total: int
    values: Point
    most_at_once: int | None = None


def expand_points(sweep: Sweep) -> tuple[Point, ...]:
    """Return all points of a sweep, the last name's values changing fastest.

    Raises
    ------
    InvalidRequest
        If there is none, or a name could be no variable.
    TooLarge
        If there are too many.
    """
    count = 1
    if isinstance(sweep, Mapping):
        for values in sweep.values():
            count *= len(values)
    else:
        count = len(sweep)
    names = set(sweep) if isinstance(sweep, Mapping) else {name for each in sweep for name in each}
    if not names or count == 0:
        raise InvalidRequest("sweep: it has no point. Give each name at least one value.")
    if count > MAX_POINTS:
        raise TooLarge(f"sweep: it has {count} points; at most {MAX_POINTS} are allowed.")
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise InvalidRequest(f"sweep: {name!r} can be no variable's name.")
    return tuple(_iter_points(sweep))


def _iter_points(sweep: Sweep) -> Iterator[Point]:
    if not isinstance(sweep, Mapping):
        yield from sweep
        return
    for values in itertools.product(*sweep.values()):
        yield dict(zip(sweep, values, strict=True))


def sweep_points(sweep: Sweep, most_at_once: int | None) -> tuple[SweepPoint, ...]:
    """Return the points of a new sweep, with an id of their own."""
    if most_at_once is not None and most_at_once < 1:
        raise InvalidRequest("max_concurrent: give at least 1.")
    sweep_id = secrets.token_hex(8)
    all_points = expand_points(sweep)
    return tuple(
        SweepPoint(
            sweep_id=sweep_id,
            index=index,
            total=len(all_points),
            values=point,
            most_at_once=most_at_once,
        )
        for index, point in enumerate(all_points)
    )


def sweep_environment(point: SweepPoint) -> dict[str, str]:
    """Return the variables of a point: all values as JSON, and one variable for each."""
    encoded = msgspec.json.encode(point.values).decode()
    each = {
        f"NDS_SWEEP_{name.upper()}": _format_value(value) for name, value in point.values.items()
    }
    return {"NDS_SWEEP": encoded, **each}


def _format_value(value: Scalar) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, bool) else str(value)


def point_name(name: str, values: Mapping[str, Scalar]) -> str:
    """Return the name of a point's job: ``train lr=0.1 seed=3``."""
    described = " ".join(f"{key}={_format_value(value)}" for key, value in values.items())
    return " ".join(f"{name} {described}".split())[:LONGEST_JOB_NAME]


def table_columns(points: Sequence[Mapping[str, Scalar]]) -> tuple[str, ...]:
    """Return every name that occurs, in the order of their first occurrence."""
    return tuple(dict.fromkeys(name for point in points for name in point))
