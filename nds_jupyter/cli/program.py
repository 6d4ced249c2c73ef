"""Entry point of the command line: from arguments to exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from IPython.core.error import UsageError

from nds_jupyter.cli.commands import parse
from nds_jupyter.errors import NdsError

FAILED, WRONG_USE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
"""Exit codes of this program's own; otherwise a job's exit code is passed on."""


def main(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        options = parse(words)
        with _terminated_like_interrupted():
            return int(options.act(options))
    except UsageError as exc:
        return _said(str(exc), WRONG_USE)
    except NdsError as exc:
        return _said(str(exc), FAILED)
    except BrokenPipeError:
        # Who read the output has gone; the interpreter must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as exc:
        return _said(f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _said(sentence: str, code: int) -> int:
    print(f"nds_jupyter: {sentence}", file=sys.stderr)  # noqa: T201
    return code


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM, by which a CI system ends what takes too long, stop a job as ^C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
