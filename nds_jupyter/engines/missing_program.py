"""Recognition of containers whose program does not exist, by errors and log lines. Pure."""

from __future__ import annotations

import re

CODES = frozenset({126, 127})
"""What a container exits with whose program was not found."""

MOST_LINES = 3
"""Lines in which all of it is said: one, beside what a node without an endpoint notes."""

_NOTE = b"nds: this user may not write"

_SAID = re.compile(
    rb"\[FATAL tini \(\d+\)\] exec .+ failed: No such file or directory"
    rb"|nds: the image has no program .+"
    rb"|/nds/\.(?:starter|letting): .*exec.*(?:not found|No such file or directory)"
)
"""By the engine's init process, by what waits in a service's container, and by the shell there."""

_ENGINE_SAID = re.compile(r'exec: "?([^":]+)"?: (?:executable file not found|stat .*no such)')

_ENV_SAID = re.compile(rb"env: .*?([\w.+/-]+)\W{0,3}: No such file or directory")


def missing_in(said: str) -> str | None:
    """Return the program that an engine says it did not find; None if it says anything else."""
    found = _ENGINE_SAID.search(said)
    return found[1] if found else None


def was_not_found(exit_code: int | None, log: bytes, first_line: str = "") -> bool:
    """Tell whether a container ended before its script began, since the program was not there.

    A script that ends with the same code, or says the same beside something else, has run.

    Parameters
    ----------
    log
        Its last `MOST_LINES` lines, or more.
    first_line
        Of the script, where that names what runs it; ``env`` may not find it.
    """
    lines = [line for line in log.splitlines() if not line.startswith(_NOTE)]
    if exit_code not in CODES or len(lines) != 1:
        return False
    by_env = _ENV_SAID.fullmatch(lines[0])
    if by_env:
        name = by_env[1].decode(errors="replace")
        return first_line.startswith("#!") and name in first_line.split()[1:]
    return _SAID.fullmatch(lines[0]) is not None
