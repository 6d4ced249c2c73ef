"""The Docker Engine of this machine, or a private one where there is none.

`find_engine` looks where Docker's own tools look and touches nothing. Where nobody answers,
`engine` starts a private `dockerd` in the cache folder for as long as somebody uses it: several
commands may share it, the last one stops it. From a shell::

    python dev/engine.py run -- COMMAND…
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.console import say
from dev.engine_api import Endpoint, answers, candidates
from dev.interrupts import delayed_interrupts, exit_code, handling, no_interrupts
from dev.private_engine import PrivateEngine


def cache_folder() -> Path:
    """Return where downloads, images and the private engine live between runs."""
    chosen = os.environ.get("NDS_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "nds_jupyter"


def find_engine() -> Endpoint | None:
    """Return the engine that `DOCKER_HOST`, the Docker context or the default socket gives."""
    for candidate in candidates():
        if answers(candidate.endpoint):
            return candidate.endpoint
        if candidate.source != "the default socket":
            say(f"No engine answers at {candidate.endpoint.url}, named by {candidate.source}.")
    return None


@contextmanager
def engine() -> Iterator[Endpoint]:
    """Give an engine that answers; a private one is stopped when its last user leaves.

    Raises
    ------
    SetupError
        There is no engine and none can be started here; says what to do.
    """
    found = find_engine()
    if found is not None:
        yield found
        return
    private = PrivateEngine(cache_folder() / "docker")
    endpoint = private.acquire()
    try:
        yield endpoint
    finally:
        with no_interrupts():
            private.release()


def run_with_engine(command: Sequence[str]) -> int:
    """Run a command with the `DOCKER_…` variables of an engine, and return its exit code."""
    with engine() as endpoint:
        env = {**os.environ, **endpoint.environment, "NDS_TEST_DOCKER": endpoint.url}
        return run_forwarding_signals(command, env)


def run_forwarding_signals(command: Sequence[str], env: dict[str, str]) -> int:
    """Run a command until it ends; being told to stop means telling the command to stop."""
    told: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        # A terminal gives ^C to the whole foreground group, so the child has it already.
        if child is not None and not (number == signal.SIGINT and sys.stdin.isatty()):
            with suppress(ProcessLookupError):
                child.send_signal(number)

    with handling(forward):
        with delayed_interrupts():
            child = subprocess.Popen(command, env=env)
        while (code := child.poll()) is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=1)
    if told:
        return 128 + told[0]
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    if len(arguments) >= 3 and arguments[0] == "run" and arguments[1] == "--":
        return exit_code(lambda: run_with_engine(arguments[2:]))
    say("usage: python dev/engine.py run -- COMMAND…")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
