"""Progress that a person can follow, and what to say when something fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

TAIL_LINES = 15
STILL_THERE_EVERY = 10.0


class SetupError(Exception):
    """Something the machine lacks; the sentence says what to do about it."""


def say(text: str) -> None:
    """Print one line of progress, on standard error so that it never mixes with results."""
    # A terminal that was closed must not keep a command from cleaning up.
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log file, indented."""
    if not path.exists():
        return "    (no log)"
    text = path.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in text)


def run_logged(
    what: str,
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str] | None = None,
    *,
    new_session: bool = False,
) -> None:
    """Run a slow command with its output in a log, and show that it is still at work.

    Parameters
    ----------
    new_session
        Keep a terminal's ^C from it.

    Raises
    ------
    SetupError
        The command failed; the message ends with the end of its log.
    """
    say(f"{what} …")
    began = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=new_session,
        )
        try:
            while True:
                try:
                    code = child.wait(timeout=STILL_THERE_EVERY)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  … {time.monotonic() - began:.0f} s")
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if code != 0:
        raise SetupError(f"{what} failed (exit code {code}). The end of {log}:\n{tail(log)}")
    say(f"  done in {time.monotonic() - began:.0f} s")
