"""Recognition of containers whose program does not exist, by errors and log lines. Pure."""

from __future__ import annotations

import re

EXIT_CODES = frozenset({126, 127})
"""Exit codes of a container whose program was not found."""

MAX_LINES = 3
"""Lines of such a container's log: one, beside the note of a node without an endpoint."""

_NOTE = b"nds: this user may not write"

_LOG_LINE = re.compile(
    rb"\[FATAL tini \(\d+\)\] exec .+ failed: No such file or directory"
    rb"|nds: the image has no program .+"
    rb"|/nds/\.(?:starter|letting): .*exec.*(?:not found|No such file or directory)"
)
"""Lines of the engine's init process, of the starter in a service's container, and of its shell."""

_ENGINE_ERROR = re.compile(r'exec: "?([^":]+)"?: (?:executable file not found|stat .*no such)')

_ENV_LINE = re.compile(rb"env: .*?([\w.+/-]+)\W{0,3}: No such file or directory")


def find_missing_program(error: str) -> str | None:
    """Return the program that an engine's error says was not found; None for any other error."""
    match = _ENGINE_ERROR.search(error)
    return match[1] if match else None


def is_program_missing(exit_code: int | None, log: bytes, first_line: str = "") -> bool:
    """Tell whether a container ended before its script began, since the program was not there.

    A script that ends with the same code, or says the same beside something else, has run.

    Parameters
    ----------
    log
        Its last `MAX_LINES` lines, or more.
    first_line
        Of the script, where that names what runs it; ``env`` may not find it.
    """
    lines = [line for line in log.splitlines() if not line.startswith(_NOTE)]
    if exit_code not in EXIT_CODES or len(lines) != 1:
        return False
    by_env = _ENV_LINE.fullmatch(lines[0])
    if by_env:
        name = by_env[1].decode(errors="replace")
        return first_line.startswith("#!") and name in first_line.split()[1:]
    return _LOG_LINE.fullmatch(lines[0]) is not None
