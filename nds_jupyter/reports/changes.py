"""Which changes of a container's filesystem are the script's own. Pure."""

from __future__ import annotations

from nds_jupyter.datapaths import is_inside
from nds_jupyter.engines.base import Change, ChangeKind
from nds_jupyter.jobs import Job

_OURS = frozenset({"/nds", "/data", "/results"})

INIT = "/docker-init"
"""What the engine mounts as the first process; its folders then count as modified."""


def of_the_script(changes: tuple[Change, ...]) -> list[Change]:
    """Leave out what the runner and the engine's init process put into the container."""
    kept = [change for change in changes if not _is_ours(change)]
    init = [change.path for change in changes if change.path.endswith(INIT)]
    paths = {change.path for change in kept}
    return [
        change
        for change in kept
        if not any(path.startswith(f"{change.path}/") for path in init)
        or any(path.startswith(f"{change.path}/") and not _leads_to(path, init) for path in paths)
    ]


def is_input(change: Change, job: Job | None) -> bool:
    """Whether something was added inside an input's place."""
    places = [each.to for each in job.spec.data] if job else []
    places += [each.to for each in job.spec.files] if job else []
    return any(is_inside(change.path, place) for place in places) and (
        change.kind is ChangeKind.ADDED
    )


def _leads_to(path: str, goals: list[str]) -> bool:
    return any(goal.startswith(f"{path}/") for goal in goals)


def _is_ours(change: Change) -> bool:
    if change.path == "/nds" or change.path.startswith("/nds/") or change.path.endswith(INIT):
        return True
    return change.path in _OURS and change.kind is not ChangeKind.DELETED
