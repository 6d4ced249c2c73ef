"""Live log of a job, and progress of transfers, in the cell's output."""

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
from nds_jupyter.jobs.byte_sizes import size_text
from nds_jupyter.rest.views import LogLine

UPDATE_INTERVAL = 0.2
"""Seconds between two updates."""


class ProgressLine:
    """Progress bar of transfers, one object after the other."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self._shown = float("-inf")

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show the bytes of an object that are transferred; its end is always shown."""
        now = time.monotonic()
        if now - self._shown < UPDATE_INTERVAL and done < total:
            return
        self._shown = now
        bar = display.progress_bar(done, total)
        self._line.show(f"{bar} {size_text(done)} of {size_text(total)}  {name}")


POLL_INTERVAL = 0.25
"""Seconds between two checks of a job that writes no lines."""

STATUS_INTERVAL = 1.0
"""Seconds between two requests for the phase, and whether the job was sent to the background."""

READ_AHEAD = 5000
"""Lines that are buffered for the notebook; more wait in the engine."""

BURST_LINES = 200
"""Buffered lines above which the order of stdout and stderr gives way to fewer messages: a Jupyter
server drops output beyond a rate of messages."""


class LiveLog:
    """Live log and status of one job until its end.

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
        self._remaining = most
        self._lines: queue.Queue[LogLine | None] = queue.Queue(READ_AHEAD)
        self._error: NdsError | None = None
        self._closed = threading.Event()
        self.status = StatusLine()

    def show(self) -> None:
        """Show it until the job has ended, or was sent to the background.

        Raises
        ------
        NdsError
            If the server can no longer be reached; the job goes on.
        """
        self._show_status()
        if not self._quiet:
            threading.Thread(target=self._read, name="nds-live-log", daemon=True).start()
            self._show_lines()
        if self._error is not None:
            raise type(self._error)(
                f"{self._error} Job {self._job.id} is not affected; %ndslogs {self._job.id} -f "
                "shows it again."
            )
        self._wait()
        if self._is_in_background:
            return
        if self._remaining <= 0:
            self._show_end()
        self._show_status()

    @property
    def _is_in_background(self) -> bool:
        return self._job.view.background and not self._job.is_finished

    def _wait(self) -> None:
        while not (self._job.is_finished or self._is_in_background):
            with contextlib.suppress(TimeoutError):
                self._job.wait(STATUS_INTERVAL)
            if not self._job.is_finished:
                self._show_status()

    def _show_status(self) -> None:
        """Update the status line."""
        if not self._quiet:
            waits_for = "" if self._job.is_finished else self._job.id
            self.status.show(display.headline(self._job.view), waits_for=waits_for)

    def _read(self) -> None:
        try:
            with contextlib.closing(self._job.lines()) as lines:
                for line in lines:
                    self._lines.put(line)
                    if self._closed.is_set():
                        break
        except NdsError as exc:
            self._error = exc
        finally:
            self._lines.put(None)

    def _show_lines(self) -> None:
        refreshed = time.monotonic()
        while not self._closed.is_set():
            if time.monotonic() - refreshed > STATUS_INTERVAL:
                self._refresh_status()
                refreshed = time.monotonic()
            try:
                first = self._lines.get(timeout=POLL_INTERVAL)
            except queue.Empty:
                continue
            if first is None or not self._write_batch(first):
                return

    def _refresh_status(self) -> None:
        # The reader's retry policy decides when the server is gone for good.
        with contextlib.suppress(NdsError):
            self._job.refresh()
        if self._is_in_background:
            self._close_reader()
        else:
            self._show_status()

    def _write_batch(self, first: LogLine) -> bool:
        """Write this line and the buffered ones; return False after the last one."""
        batch = list(self._buffered_lines(first))
        burst = len(batch) > BURST_LINES
        for stream, lines in groupby(batch, lambda line: "" if line is None else line.stream):
            text = "".join(
                f"{display.apply_carriage_returns(line.text)}\n" for line in lines if line
            )
            shown, self._remaining = text[: self._remaining], self._remaining - len(text)
            out = sys.stderr if stream == "stderr" else sys.stdout
            out.write(shown)
            if not burst:
                out.flush()
            if self._remaining <= 0:
                self._close_reader()
                break
        sys.stdout.flush()
        sys.stderr.flush()
        return batch[-1] is not None

    def _buffered_lines(self, first: LogLine) -> Iterator[LogLine | None]:
        line: LogLine | None = first
        for _ in range(READ_AHEAD):
            yield line
            if line is None:
                return
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return
        yield line

    def _close_reader(self) -> None:
        """Let the reader end, which may wait for room in the buffer."""
        self._closed.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def _show_end(self) -> None:
        out = sys.stderr
        print("\n… not all of the log is shown; the job's logs() has it. Its end:", file=out)
        with contextlib.suppress(NdsError):
            print(self._job.logs(tail=LAST_LOG_LINES)[-10_000:], file=out)
