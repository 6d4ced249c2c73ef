"""Run of a cell's job from request to end; an interrupt stops it."""

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
from nds_jupyter.magics.live_log import LOOK, ProgressLine
from nds_jupyter.values.output_values import output_names

MIN_SHOWN_SIZE = 4 * 2**20
"""Bytes of a file whose way is shown; a smaller one has passed before anyone looks."""


class SubmissionCancelled(NdsError):
    """The user interrupted the cell before its job was submitted."""

    code = "abandoned"
    reason = "interrupted"


class TransferProgress:
    """Told by a thread that moves files, shown by the cell's own.

    Parameters
    ----------
    quiet
        Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._line = None if quiet else ProgressLine()
        self._abandoned = threading.Event()
        self._state: tuple[str, int, int] | None = None

    def __call__(self, name: str, done: int, total: int) -> None:
        """Take note of how much of a file has passed.

        Raises
        ------
        Abandoned
            If nobody wants the job any more.
        """
        self._state = (name, done, total)
        if self._abandoned.is_set():
            raise SubmissionCancelled("Nothing was submitted.")

    def at_once(self, name: str, done: int, total: int) -> None:
        """Take note of how much of a file has passed, and show it; for the cell's own thread."""
        self(name, done, total)
        self.show()

    def show(self) -> None:
        """Show how far it is."""
        state, self._state = self._state, None
        if self._line is not None and state is not None and state[2] >= MIN_SHOWN_SIZE:
            self._line(*state)

    def abandon(self) -> None:
        """Let the thread that sends give up."""
        self._abandoned.set()


def watch_in_background(job: Job, status: StatusLine | None = None) -> None:
    """Show that a job runs, and change that line when it has ended.

    Parameters
    ----------
    status
        The line; a new one where left out.
    """
    status = status or StatusLine()
    status.show(f"{display.headline(job.view)}. This line tells when it has ended.")

    def watch() -> None:
        try:
            ended = display.headline(job.wait().view)
            names = " and ".join(output_names(job)) if job.state is JobState.COMPLETED else ""
            hint = f". %ndsvalues {job.id} brings {names} back" if names else ""
            status.show(f"{ended}{hint}")
        except NdsError as exc:
            status.show(f"Job {job.id}: its end is not known. {exc}")

    threading.Thread(target=watch, name=f"nds-watch-{job.id}", daemon=True).start()


T = TypeVar("T")

STOP_TIMEOUT = 10.0
"""Seconds that a script has between being told to end and being killed."""


class UninterruptedCall(Generic[T]):
    """Something carried out in a thread, so that no interrupt cuts it in two."""

    def __init__(self, act: Callable[[], T]) -> None:
        self._act = act
        self._value: T | None = None
        self._error: BaseException | None = None
        self._begun = False
        self._done = threading.Event()

    def start_once(self) -> Self:
        """Begin, in a thread, unless it has begun."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._run, name="nds-request", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            self._value = self._act()
        except BaseException as exc:  # noqa: BLE001 - raised again where it is waited for
            self._error = exc
        finally:
            self._done.set()

    @property
    def is_begun(self) -> bool:
        """Whether it was started."""
        return self._begun

    def wait(self, meanwhile: Callable[[], object] = bool) -> T:
        """Return what came of it; an interrupt ends the wait, not the act."""
        while not self._done.wait(LOOK):
            meanwhile()
        meanwhile()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Stoppable(Protocol):
    """A job, or several."""

    def stop(self, timeout: float = ...) -> object:
        """Stop what runs; after `timeout` seconds it is killed."""


S = TypeVar("S", bound=Stoppable)


def run_to_end(
    submit: Callable[[], S],
    show: Callable[[S], object],
    tell: Callable[[S], str],
    sending: TransferProgress | None = None,
) -> S:
    """Submit a job, or several, show it until its end, and return it.

    Parameters
    ----------
    submit
        Makes the request.
    show
        Shows the job; returns when it has ended, or is left alone.
    tell
        Says in a line what became of it.
    sending
        What `submit` sends first, which an interrupt ends.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted; then the job has been stopped.
    """
    pending = UninterruptedCall(submit)
    sending = sending or TransferProgress(quiet=True)
    try:
        job = pending.start_once().wait(sending.show)
        show(job)
    except KeyboardInterrupt:
        if not pending.is_begun:
            raise
        sending.abandon()
        status = StatusLine()
        status.show("Stopping the job …")
        status.show(stop_and_describe(pending, tell))
        raise interrupt_error() from None
    return job


def describe_job(job: Job) -> str:
    """Say in a line what became of a job."""
    return display.headline(job.view)


def stop_and_describe(pending: UninterruptedCall[S], tell: Callable[[S], str]) -> str:
    """Stop the job, whose request may still be under way, and say what became of it.

    A further interrupt kills the container at once instead of leaving it running.
    """
    graces = [STOP_TIMEOUT, 0.0]
    stopping: UninterruptedCall[object] | None = None
    while True:
        try:
            job = pending.wait()
            if stopping is None:
                stopping = UninterruptedCall(partial(job.stop, graces.pop(0)))
            stopping.start_once().wait()
        except KeyboardInterrupt:
            if stopping is not None and graces:
                stopping = UninterruptedCall(partial(job.stop, graces.pop(0)))
        except SubmissionCancelled as exc:
            return exc.message
        except NdsError as exc:
            return f"The job could not be stopped: {exc}"
        else:
            return tell(job)
