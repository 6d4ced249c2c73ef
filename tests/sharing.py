"""What the processes of one run share on an engine, removed by the last of them that leaves."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all processes of this run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def removing_what_came(
    file: Path, present: Callable[[], Iterable[str]], remove: Callable[[str], None]
) -> Iterator[None]:
    """Remove at the end what was not present when the first process of the run came here.

    The last one to leave does it: each of them holds a shared lock on the file until then.

    Parameters
    ----------
    file
        In the folder of the run; what was present at first is written there.
    present
        Lists what is there now.
    remove
        Removes one thing.
    """
    with file.open("a+") as users:
        with _alone(file):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not file.stat().st_size:
                file.write_text(json.dumps(list(present())))
        yield
    with _alone(file), file.open() as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        before = set(json.loads(users.read()))
        for each in present():
            if each not in before:
                remove(each)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Let one process at a time come or leave."""
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
