"""Judges a sweep: one request, a job a point. Pure."""

from __future__ import annotations

import msgspec

from nds_jupyter.admission.job_request import JobRequest
from nds_jupyter.admission.policy import Policy, admit
from nds_jupyter.errors import InvalidRequest
from nds_jupyter.inputs import Logical
from nds_jupyter.jobs import JobSpec
from nds_jupyter.sweeps import SweepPoint, environment, point_name, sweep_points


def admit_all(
    request: JobRequest, policy: Policy, logical: Logical
) -> tuple[tuple[JobSpec, ...], bytes]:
    """Judge a request; as many specifications as its sweep has points, or one without a sweep.

    Raises
    ------
    NdsError
        What `policy.admit` raises, and `InvalidRequest` or `TooLarge` for a sweep that is none.
    """
    spec, script = admit(request, policy, logical)
    if request.sweep is None:
        if request.max_concurrent is not None:
            raise InvalidRequest("max_concurrent: it belongs to a sweep, and there is none.")
        return (spec,), script
    places = sweep_points(request.sweep, request.max_concurrent)
    return tuple(_at(spec, point) for point in places), script


def _at(spec: JobSpec, point: SweepPoint) -> JobSpec:
    return msgspec.structs.replace(
        spec,
        sweep=point,
        # Each point's results have a collection of their own.
        output=None if spec.output is None else f"{spec.output.rstrip('/')}/{point.index:05d}",
        name=point_name(spec.name, point.values),
        env={**spec.env, **environment(point)},
    )
