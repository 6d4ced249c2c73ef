"""What runs a script."""

from __future__ import annotations

import pytest

from nds_jupyter.jobs.job import JobSpec, Limits
from nds_jupyter.jobs.script import build_command, interpreter_candidates


@pytest.mark.parametrize(
    ("fields", "interpreter", "line"),
    [
        ({}, "python3", ("python3", "/nds/cell.py")),
        ({"args": ("a b",)}, "python", ("python", "/nds/cell.py", "a b")),
        ({"script_shebang": True}, None, ("/nds/cell.py",)),
        ({"command": ("bash", "-c", "x")}, None, ("bash", "-c", "x")),
    ],
)
def test_command_line(
    fields: dict[str, object], interpreter: str | None, line: tuple[str, ...]
) -> None:
    spec = JobSpec(
        scriptname="cell.py",
        script_sha256="0",
        image="a:b",
        limits=Limits(cpus=1, memory=512 * 2**20, pids=10),
        **{"script_shebang": False, **fields},
    )
    assert build_command(spec, interpreter) == line
    if interpreter:
        assert interpreter in interpreter_candidates(spec)
    else:
        assert interpreter_candidates(spec) == ()
