"""Filesystem diff of a job's container: the changes that its script made. Pure."""

from __future__ import annotations

from nds_jupyter.engines.base import Change, ChangeKind
from nds_jupyter.jobs.job import Job
from nds_jupyter.jobs.logical_paths import is_inside

_SETUP_FOLDERS = frozenset({"/nds", "/data", "/results"})

INIT_PROCESS = "/docker-init"
"""What the engine mounts as the first process; its folders then count as modified."""


def changes_of_script(changes: tuple[Change, ...]) -> list[Change]:
    """Return the changes without those by the runner and by the engine's init process."""
    remaining = [change for change in changes if not _is_setup_change(change)]
    init = [change.path for change in changes if change.path.endswith(INIT_PROCESS)]
    paths = {change.path for change in remaining}
    return [
        change
        for change in remaining
        if not any(path.startswith(f"{change.path}/") for path in init)
        or any(
            path.startswith(f"{change.path}/") and not _is_parent_of_any(path, init)
            for path in paths
        )
    ]


def is_input_change(change: Change, job: Job | None) -> bool:
    """Return whether a change added something inside an input's path."""
    targets = [each.to for each in job.spec.data] if job else []
    targets += [each.to for each in job.spec.files] if job else []
    return any(is_inside(change.path, target) for target in targets) and (
        change.kind is ChangeKind.ADDED
    )


def _is_parent_of_any(path: str, goals: list[str]) -> bool:
    return any(goal.startswith(f"{path}/") for goal in goals)


def _is_setup_change(change: Change) -> bool:
    if (
        change.path == "/nds"
        or change.path.startswith("/nds/")
        or change.path.endswith(INIT_PROCESS)
    ):
        return True
    return change.path in _SETUP_FOLDERS and change.kind is not ChangeKind.DELETED
