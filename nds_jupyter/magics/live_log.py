"""Live log and transfer progress in the cell's output."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Iterator
from itertools import groupby

from nds_jupyter.client import display
from nds_jupyter.client.display import StatusLine
from nds_jupyter.client.job import LAST_LOG_LINES, Job
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.sizes import size_text
from nds_jupyter.rest.views import LogLine

EVERY = 0.2
"""Seconds between two changes."""

WIDTH = 30


class ProgressLine:
    """Shows the transfer of one object after the other."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self._shown = float("-inf")

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show how much of an object has passed; its end is always shown."""
        now = time.monotonic()
        if now - self._shown < EVERY and done < total:
            return
        self._shown = now
        filled = WIDTH if total <= 0 else min(WIDTH, WIDTH * done // total)
        bar = "█" * filled + "░" * (WIDTH - filled)
        self._line.show(f"{bar} {size_text(done)} of {size_text(total)}  {name}")


LOOK = 0.25
"""Seconds between two looks at a job that says nothing."""

STATUS_EVERY = 1.0
"""Seconds between two questions for the phase, and whether the cell is to go on without the job."""

AHEAD = 5000
"""Lines read ahead of what the notebook has taken; more wait in the engine."""

BURST = 200
"""Lines waiting, above which the order of stdout and stderr gives way to fewer messages: a Jupyter
server drops output beyond a rate of messages."""


class LiveLog:
    """Shows one job's log and status until its end.

    Parameters
    ----------
    quiet
        Show nothing, and wait.
    most
        Characters after which the log is no longer shown, since a notebook would choke on it.
    """

    def __init__(self, job: Job, *, quiet: bool, most: int) -> None:
        self._job = job
        self._quiet = quiet
        self._left = most
        self._lines: queue.Queue[LogLine | None] = queue.Queue(AHEAD)
        self._error: NdsError | None = None
        self._enough = threading.Event()
        self.status = StatusLine()

    def show(self) -> None:
        """Show it until the job has ended, or was sent to the background.

        Raises
        ------
        NdsError
            If the server can no longer be asked; the job goes on.
        """
        self._tell()
        if not self._quiet:
            threading.Thread(target=self._read, name="nds-live-log", daemon=True).start()
            self._drain()
        if self._error is not None:
            raise type(self._error)(
                f"{self._error} Job {self._job.id} is not affected; %ndslogs {self._job.id} -f "
                "shows it again."
            )
        self._wait()
        if self._is_left_alone:
            return
        if self._left <= 0:
            self._show_end()
        self._tell()

    @property
    def _is_left_alone(self) -> bool:
        return self._job.view.background and not self._job.is_finished

    def _wait(self) -> None:
        while not (self._job.is_finished or self._is_left_alone):
            with contextlib.suppress(TimeoutError):
                self._job.wait(STATUS_EVERY)
            if not self._job.is_finished:
                self._tell()

    def _tell(self) -> None:
        """Change the line of status."""
        if not self._quiet:
            waits_for = "" if self._job.is_finished else self._job.id
            self.status.show(display.headline(self._job.view), waits_for=waits_for)

    def _read(self) -> None:
        try:
            with contextlib.closing(self._job.lines()) as lines:
                for line in lines:
                    self._lines.put(line)
                    if self._enough.is_set():
                        break
        except NdsError as exc:
            self._error = exc
        finally:
            self._lines.put(None)

    def _drain(self) -> None:
        asked = time.monotonic()
        while not self._enough.is_set():
            if time.monotonic() - asked > STATUS_EVERY:
                self._ask_for_status()
                asked = time.monotonic()
            try:
                first = self._lines.get(timeout=LOOK)
            except queue.Empty:
                continue
            if first is None or not self._write(first):
                return

    def _ask_for_status(self) -> None:
        # The reader is the one who finds out that the server is gone for good.
        with contextlib.suppress(NdsError):
            self._job.refresh()
        if self._is_left_alone:
            self._read_no_more()
        else:
            self._tell()

    def _write(self, first: LogLine) -> bool:
        """Write this line and those that wait; false after the last one."""
        batch = list(self._waiting(first))
        burst = len(batch) > BURST
        for stream, lines in groupby(batch, lambda line: "" if line is None else line.stream):
            text = "".join(f"{display.overwritten(line.text)}\n" for line in lines if line)
            shown, self._left = text[: self._left], self._left - len(text)
            out = sys.stderr if stream == "stderr" else sys.stdout
            out.write(shown)
            if not burst:
                out.flush()
            if self._left <= 0:
                self._read_no_more()
                break
        sys.stdout.flush()
        sys.stderr.flush()
        return batch[-1] is not None

    def _waiting(self, first: LogLine) -> Iterator[LogLine | None]:
        line: LogLine | None = first
        for _ in range(AHEAD):
            yield line
            if line is None:
                return
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return
        yield line

    def _read_no_more(self) -> None:
        """Let the reader end, who may wait for room."""
        self._enough.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def _show_end(self) -> None:
        out = sys.stderr
        print("\n… not all of the log is shown; the job's logs() has it. Its end:", file=out)
        with contextlib.suppress(NdsError):
            print(self._job.logs(tail=LAST_LOG_LINES)[-10_000:], file=out)
