"""Processes of this machine, found by what is on their command line."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

END_SECONDS = 20.0


def pids_with_argument(argument: str) -> list[int]:
    """Return the living processes that have exactly this argument on their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if argument.encode() in words:
                found.append(int(folder.name))
    return found


def with_descendants(pids: Iterable[int]) -> list[int]:
    """Return these processes and all that came of them and live."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # The name in parentheses may hold anything, spaces and parentheses included.
                after_name = (folder / "stat").read_text().rpartition(")")[2]
                children.setdefault(int(after_name.split()[1]), []).append(int(folder.name))
    found: list[int] = []
    left = list(pids)
    while left:
        pid = left.pop()
        if pid not in found:
            found.append(pid)
            left += children.get(pid, [])
    return found


def is_stopped(pid: int) -> bool:
    """Whether every thread of a process stands still, or it is gone."""
    states = []
    for status in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError, IndexError):
            states.append(status.read_text().rpartition(")")[2].split()[0])
    return set(states) <= {"T", "t"}


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each of these that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_until(done: Callable[[], bool], seconds: float = END_SECONDS) -> bool:
    """Wait for a condition; False if the time is over and it is still not so."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
