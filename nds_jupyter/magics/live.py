"""A job's log, live in the cell while it runs."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable

from IPython.display import DisplayHandle, display

from nds_jupyter import reprs
from nds_jupyter.client import Job
from nds_jupyter.errors import NdsError
from nds_jupyter.views import LogLine

LOOK = 0.25
"""Seconds between two looks at a job that says nothing."""

STATUS_EVERY = 1.0
"""Seconds between two questions for the phase while nothing is logged."""


class _Line:
    """One line of status that changes in place."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._shown = ""

    def show(self, text: str) -> None:
        if text == self._shown:
            return
        self._shown = text
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


class LiveLog:
    """Shows the log of one job until its end.

    Parameters
    ----------
    most
        Characters after which the log is no longer shown, since a notebook would choke on it.
    """

    def __init__(self, job: Job, *, quiet: bool, most: int) -> None:
        self._job = job
        self._quiet = quiet
        self._left = most
        self._lines: queue.SimpleQueue[LogLine | None] = queue.SimpleQueue()
        self._error: NdsError | None = None
        self._status = _Line()

    def _read(self) -> None:
        try:
            for line in self._job.lines(follow=True):
                self._lines.put(line)
        except NdsError as exc:
            self._error = exc
        finally:
            self._lines.put(None)

    def show(self) -> None:
        """Show it until the job has ended; an interrupt stops the job and is raised on."""
        reader = threading.Thread(target=self._read, name="nds-live-log", daemon=True)
        reader.start()
        try:
            self._drain()
        except KeyboardInterrupt:
            self._tell(f"Stopping job {self._job.id} …")
            self._until_done(self._job.stop)
            self._tell(repr(self._job))
            raise
        if self._error is not None:
            raise self._error
        self._job.refresh()
        self._tell(reprs.headline(self._job.view))

    def _until_done(self, act: Callable[[], object]) -> None:
        """Carry something out even if the user interrupts again."""
        thread = threading.Thread(target=act, name="nds-stop", daemon=True)
        thread.start()
        while thread.is_alive():
            try:
                thread.join(LOOK)
            except KeyboardInterrupt:
                continue

    def _tell(self, text: str) -> None:
        if not self._quiet:
            self._status.show(text)

    def _drain(self) -> None:
        asked = 0.0
        self._tell(reprs.headline(self._job.view))
        while True:
            try:
                line = self._lines.get(timeout=LOOK)
            except queue.Empty:
                if time.monotonic() - asked > STATUS_EVERY:
                    asked = time.monotonic()
                    self._tell(reprs.headline(self._job.refresh().view))
                continue
            if line is None:
                return
            self._write(line)

    def _write(self, line: LogLine) -> None:
        if self._quiet or self._left <= 0:
            return
        self._left -= len(line.text) + 1
        out = sys.stderr if line.stream == "stderr" else sys.stdout
        if self._left <= 0:
            print("… the log goes on; job.logs() has it.", file=sys.stderr)  # noqa: T201
            return
        out.write(f"{line.text}\n")
        if self._lines.empty():
            out.flush()
