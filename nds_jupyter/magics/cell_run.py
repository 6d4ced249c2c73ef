"""One cell's job, from the request to its end; an interrupt at any moment stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

from nds_jupyter.client import reprs
from nds_jupyter.client.job import Job
from nds_jupyter.client.status_line import StatusLine
from nds_jupyter.errors import NdsError
from nds_jupyter.magics.failure import interrupted
from nds_jupyter.magics.live import LOOK
from nds_jupyter.magics.sending import Abandoned, Sending

T = TypeVar("T")

GRACE = 10.0
"""Seconds that a script has between being told to end and being killed."""


class Pending(Generic[T]):
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
    sending: Sending | None = None,
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
    pending = Pending(submit)
    sending = sending or Sending(quiet=True)
    try:
        job = pending.start_once().wait(sending.show)
        show(job)
    except KeyboardInterrupt:
        if not pending.is_begun:
            raise
        sending.abandon()
        status = StatusLine()
        status.show("Stopping the job …")
        status.show(stopped_surely(pending, tell))
        raise interrupted() from None
    return job


def job_line(job: Job) -> str:
    """Say in a line what became of a job."""
    return reprs.headline(job.view)


def stopped_surely(pending: Pending[S], tell: Callable[[S], str]) -> str:
    """Stop the job, whose request may still be under way, and say what became of it.

    A further interrupt kills the container at once instead of leaving it running.
    """
    graces = [GRACE, 0.0]
    stopping: Pending[object] | None = None
    while True:
        try:
            job = pending.wait()
            if stopping is None:
                stopping = Pending(partial(job.stop, graces.pop(0)))
            stopping.start_once().wait()
        except KeyboardInterrupt:
            if stopping is not None and graces:
                stopping = Pending(partial(job.stop, graces.pop(0)))
        except Abandoned as exc:
            return exc.message
        except NdsError as exc:
            return f"The job could not be stopped: {exc}"
        else:
            return tell(job)
