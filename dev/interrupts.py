"""What asks a command to stop, and when it may."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dev.console import SetupError, say

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ^C, `kill` and a terminal that is closed send."""

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Let an impatient second ^C not cut short what leaves the machine clean."""
    with handling(signal.SIG_IGN):
        yield


@contextmanager
def delayed_interrupts() -> Iterator[None]:
    """Let a ^C wait until what must not be cut in two is done, and then take effect.

    So a process that is being started is known to who will end it.
    """
    told: list[int] = []
    with handling(lambda number, _frame: told.append(number)):
        yield
    if told:
        signal.raise_signal(told[0])


@contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Handle what asks a command to stop, unless it is told to ignore it (`nohup`).

    Only the main thread gets signals; in another one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in STOPPING}
    if kept[signal.SIGHUP] is signal.SIG_IGN:
        del kept[signal.SIGHUP]
    for number in kept:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Let the first of `STOPPING` raise `KeyboardInterrupt`, and ignore those after it.

    An impatient second ^C must not cut short what leaves the machine clean.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with handling(interrupt):
        yield


def exit_code(run: Callable[[], int | None]) -> int:
    """Run a command that cleans up after itself, and tell how it ended as its exit code."""
    try:
        with one_interrupt():
            return run() or 0
    except SetupError as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted; nothing is left running.")
        return 130
