"""Errors as a sentence in the cell: a traceback through our code would help nobody."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from nds_jupyter.errors import JobFailed, NdsError

F = TypeVar("F", bound=Callable[..., Any])


class CellError(NdsError):
    """An error that IPython shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class JobError(CellError, JobFailed):
    """A job that failed, with exit code, reason and the end of its log."""


def interrupted(said: str = "The job was stopped.") -> KeyboardInterrupt:
    """Return an interrupt that shows no traceback: the user knows what happened."""
    return _Interrupted(said)


class _Interrupted(KeyboardInterrupt):
    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


# Front ends know an interrupt by the name of its class.
_Interrupted.__name__ = "KeyboardInterrupt"


def in_a_sentence(magic: F) -> F:
    """Show our own errors of a magic without a traceback."""

    @functools.wraps(magic)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return magic(*args, **kwargs)
        except CellError:
            raise
        except JobFailed as exc:
            raise JobError(exc.message, **exc.details) from None
        except NdsError as exc:
            shown = type(type(exc).__name__, (CellError, type(exc)), {})
            raise shown(exc.message, **exc.details) from None

    return cast("F", call)
