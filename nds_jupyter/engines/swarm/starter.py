"""What a service's container runs first: it waits until everything is in place. Pure.

A container of a service starts as soon as a node has room. So it waits for a file that is put into
it after script and inputs, and only then becomes the job's command. A container that Swarm should
ever start again finds no such file: a script never runs twice.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time

STARTER_PATH = "/nds/.starter"
GO_FOLDER, GO_FILE = "/nds", ".go"
GO_PATH = f"{GO_FOLDER}/{GO_FILE}"

STARTER = f"""\
#!/bin/sh
trap 'exit 143' TERM INT
until [ -e {GO_PATH} ]; do
  sleep 0.05 2>/dev/null || sleep 1
done
trap - TERM INT
exec "$@"
"""

STARTER_NAME = f"nds-starter-{hashlib.sha256(STARTER.encode()).hexdigest()[:12]}"
"""Name of its Swarm config: another text is another config, since none can be changed."""

_COMMAND = ("/bin/sh", STARTER_PATH)


def with_starter(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a service's container is told to run."""
    return (*_COMMAND, *command)


def without_starter(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the job's command from what its service's container was told to run."""
    # The engine's init process stands before it in some answers.
    for start in range(min(3, len(command))):
        if command[start : start + len(_COMMAND)] == _COMMAND:
            return command[start + len(_COMMAND) :]
    return command


def go_archive() -> bytes:
    """Return the archive that lets a script go; its file's time is the start of the script."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(GO_FILE)
        entry.mode, entry.mtime = 0o444, time.time()
        archive.addfile(entry)
    return buffer.getvalue()
