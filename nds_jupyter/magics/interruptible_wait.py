"""Run of a cell's job from its request to its end; an interrupt stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

from nds_jupyter.client import display
from nds_jupyter.client.display import StatusLine
from nds_jupyter.client.job import Job
from nds_jupyter.errors import NdsError
from nds_jupyter.jobs.job import JobState
from nds_jupyter.magics.error_display import interrupt_error
from nds_jupyter.magics.log_output import POLL_INTERVAL, ProgressLine
from nds_jupyter.values.output_values import output_names

MIN_SHOWN_SIZE = 4 * 2**20
"""Bytes of a file whose transfer is shown; a smaller one has arrived before anyone looks."""


class SubmissionCancelled(NdsError):
    """The user interrupted the cell before its job was submitted."""

    code = "abandoned"
    reason = "interrupted"


class CellProgress:
    """Progress of a transfer, reported by the thread that does it and shown by the cell's own.

    Parameters
    ----------
    quiet
        Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._line = None if quiet else ProgressLine()
        self._cancelled = threading.Event()
        self._state: tuple[str, int, int] | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        """Report the bytes of a file that are transferred.

        Raises
        ------
        SubmissionCancelled
            If the transfer was cancelled.
        """
        self._state = (name, done, total)
        if self._cancelled.is_set():
            raise SubmissionCancelled("Nothing was submitted.")

    def report_and_show(self, name: str, done: int, total: int) -> None:
        """Report and show progress, for a transfer in the cell's own thread."""
        self(name, done, total)
        self.show()

    def show(self) -> None:
        """Show what was reported since the last call."""
        state, self._state = self._state, None
        if self._line is not None and state is not None and state[2] >= MIN_SHOWN_SIZE:
            self._line(*state)

    def cancel(self) -> None:
        """Let the thread of the transfer give up at its next report."""
        self._cancelled.set()


def watch_in_background(job: Job, status: StatusLine | None = None) -> None:
    """Show that a job runs, and update that line when it has ended.

    Parameters
    ----------
    status
        Line to update; a new one where left out.
    """
    status = status or StatusLine()
    status.show(f"{display.headline(job.view)}. This line tells when it has ended.")

    def show_end() -> None:
        try:
            ended = display.headline(job.wait().view)
            names = " and ".join(output_names(job)) if job.state is JobState.COMPLETED else ""
            hint = f". %ndsvalues {job.id} brings {names} back" if names else ""
            status.show(f"{ended}{hint}")
        except NdsError as exc:
            status.show(f"Job {job.id}: its end is not known. {exc}")

    threading.Thread(target=show_end, name=f"nds-watch-{job.id}", daemon=True).start()


T = TypeVar("T")

STOP_TIMEOUT = 10.0
"""Seconds between the signal that asks a script to end and the one that kills it."""


class UninterruptedCall(Generic[T]):
    """Call in a thread of its own, which an interrupt of the cell does not break off."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: T | None = None
        self._error: BaseException | None = None
        self._started = False
        self._done = threading.Event()

    def start_once(self) -> Self:
        """Start the thread unless it was started, and return this call."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="nds-request", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as exc:  # noqa: BLE001 - raised again where it is waited for
            self._error = exc
        finally:
            self._done.set()

    @property
    def is_started(self) -> bool:
        """Whether the thread was started."""
        return self._started

    def result(self, on_poll: Callable[[], object] = bool) -> T:
        """Wait and return the result; an interrupt ends the wait, not the call."""
        while not self._done.wait(POLL_INTERVAL):
            on_poll()
        on_poll()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Stoppable(Protocol):
    """A job, or several, that can be stopped."""

    def stop(self, timeout: float = ...) -> object:
        """Stop what runs; after `timeout` seconds it is killed."""


S = TypeVar("S", bound=Stoppable)


def run_to_end(
    submit: Callable[[], S],
    show: Callable[[S], object],
    describe: Callable[[S], str],
    upload_progress: CellProgress | None = None,
) -> S:
    """Submit a job, or several, show it until its end, and return it.

    Parameters
    ----------
    submit
        Makes the request.
    show
        Shows the job; returns when it has ended, or was sent to the background.
    describe
        Returns a line about the job's state.
    upload_progress
        Progress of the files that `submit` uploads first; an interrupt cancels them.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted; then the job has been stopped.
    """
    pending = UninterruptedCall(submit)
    upload_progress = upload_progress or CellProgress(quiet=True)
    try:
        job = pending.start_once().result(upload_progress.show)
        show(job)
    except KeyboardInterrupt:
        if not pending.is_started:
            raise
        upload_progress.cancel()
        status = StatusLine()
        status.show("Stopping the job …")
        status.show(stop_and_describe(pending, describe))
        raise interrupt_error() from None
    return job


def describe_job(job: Job) -> str:
    """Return a line about a job's state."""
    return display.headline(job.view)


def stop_and_describe(pending: UninterruptedCall[S], describe: Callable[[S], str]) -> str:
    """Stop a job, whose request may still be pending, and return a line about its state.

    A further interrupt kills the container at once instead of leaving it running.
    """
    timeouts = [STOP_TIMEOUT, 0.0]
    stopping: UninterruptedCall[object] | None = None
    while True:
        try:
            job = pending.result()
            if stopping is None:
                stopping = UninterruptedCall(partial(job.stop, timeouts.pop(0)))
            stopping.start_once().result()
        except KeyboardInterrupt:
            if stopping is not None and timeouts:
                stopping = UninterruptedCall(partial(job.stop, timeouts.pop(0)))
        except SubmissionCancelled as exc:
            return exc.message
        except NdsError as exc:
            return f"The job could not be stopped: {exc}"
        else:
            return describe(job)
