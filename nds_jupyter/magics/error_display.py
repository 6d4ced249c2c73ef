"""Errors shown as a sentence in the cell instead of a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from nds_jupyter.errors import JobFailed, NdsError

if TYPE_CHECKING:
    from nds_jupyter.client.job import Job

F = TypeVar("F", bound=Callable[..., Any])


class CellError(NdsError):
    """An error that IPython shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


NO_PROGRAM_CODES = (126, 127)
"""Exit codes of shells, and of the start of a script, where there was no program to run."""

HINTS = {
    "image": "%ndsimages lists the images that are there.",
    "data": "%ndsls lists what the data root has, and %ndsput FILE brings a file there.",
}
"""What to do next in a notebook, by the reason for which a job failed."""


class JobError(CellError, JobFailed):
    """A job that failed, with exit code, reason and the end of its log."""


def interrupt_error(message: str = "The job was stopped.") -> KeyboardInterrupt:
    """Return a KeyboardInterrupt that shows no traceback: the user knows what happened."""
    return _Interrupted(message)


class _Interrupted(KeyboardInterrupt):
    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


# Front ends know an interrupt by the name of its class.
_Interrupted.__name__ = "KeyboardInterrupt"


def without_traceback(magic: F) -> F:
    """Decorate a magic so that our own errors are shown without a traceback."""

    @functools.wraps(magic)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return magic(*args, **kwargs)
        except CellError:
            raise
        except JobFailed as exc:
            raise JobError(exc.message, **exc.details) from None
        except OSError as exc:
            # A file or folder of the user's; anything else deserves its traceback.
            if exc.filename is None:
                raise
            shown = type(type(exc).__name__, (CellError, type(exc)), {})
            raise shown(f"{exc.filename}: {exc.strerror}.") from None
        except NdsError as exc:
            shown = type(type(exc).__name__, (CellError, type(exc)), {})
            raise shown(exc.message, **exc.details) from None

    return cast("F", call)


def raise_if_failed(job: Job) -> None:
    """Raise the error of a failed job, with a hint at what to do next."""
    try:
        job.raise_if_failed()
    except JobFailed as exc:
        hint = hint_for(job.view.reason or "", job.exit_code)
        raise JobFailed(f"{exc.message}\n{hint}" if hint else exc.message, **exc.details) from None


def hint_for(reason: str, exit_code: int | None) -> str:
    """Return what to do next after a failed job; empty where the error says it all."""
    if reason == "exit" and exit_code in NO_PROGRAM_CODES:
        return (
            f"Exit code {exit_code} means that a program was not found or can't be run. Look at "
            "--cmd, at the first line of the script, and at what the image has."
        )
    return HINTS.get(reason, "")
