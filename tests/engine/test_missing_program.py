"""What a log must hold so that a job's program counts as missing."""

from __future__ import annotations

import pytest

from nds_jupyter.engines.missing_program import is_program_missing

NOTE = b"nds: this user may not write to /results on this node; NDS_RESULTS is /tmp/nds-results\n"
BY_TINI = b"[FATAL tini (7)] exec nosuch failed: No such file or directory\n"


@pytest.mark.parametrize(
    "line",
    [
        BY_TINI,
        b"nds: the image has no program nosuch\n",
        b"/nds/.starter: exec: line 14: /nds/job.sh: not found\n",
        b"/nds/.letting: 8: exec: /nds/job.sh: not found\n",
        b"/nds/.starter: line 14: exec: /nds/job.sh: cannot execute: No such file or directory\n",
    ],
)
def test_line_of_what_starts_scripts_says_it(line: bytes) -> None:
    assert is_program_missing(127, line)
    assert is_program_missing(126, NOTE + line)
    assert not is_program_missing(1, line)
    assert not is_program_missing(None, line)
    assert not is_program_missing(127, b"it ran\n" + line)
    assert not is_program_missing(127, line + b"it ran\n")
    assert not is_program_missing(127, b"it says: " + line)


@pytest.mark.parametrize("log", [b"", NOTE, b"sh: nosuch: not found\n", b"/nds/job.sh: 1: exec: x"])
def test_log_of_a_script_does_not_say_it(log: bytes) -> None:
    assert not is_program_missing(127, log)


@pytest.mark.parametrize(
    "line",
    [
        "env: \u2018python9\u2019: No such file or directory",
        "env: python9: No such file or directory",
        "env: can't execute 'python9': No such file or directory",
    ],
)
def test_env_says_it_of_what_the_first_line_names(line: str) -> None:
    log = line.encode()
    assert is_program_missing(127, log, "#!/usr/bin/env python9")
    assert is_program_missing(127, log, "#!/usr/bin/env -S python9 -u")
    assert not is_program_missing(127, log, "#!/usr/bin/env bash")
    assert not is_program_missing(127, log, "env python9")
    assert not is_program_missing(127, log)
