"""What a service's container runs first: it waits until everything is in place. Pure.

A container of a service starts as soon as a node has room. So it waits for a file that comes
after script and inputs, and only then becomes the job's command. A container that Swarm should
ever start again finds no such file: a script never runs twice.

The file is put into the container, or made there by a shell that reads the container's input: to
write to that costs an engine a hundredth of what it costs to unpack an archive.

Into a container on a node without an endpoint nothing can be put. There the service itself is
changed, once, to one whose container has the script from a config and waits for nothing.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time

STARTER_PATH = "/nds/.starter"
GO_FOLDER, GO_FILE = "/nds", ".go"
GO_PATH = f"{GO_FOLDER}/{GO_FILE}"
HANDED_PATH = "/nds/.handed"

NO_PROGRAM = (
    'command -v "$1" >/dev/null || { echo "nds: the image has no program $1" >&2; exit 127; }'
)
"""Said alike by whatever shell an image has; `programs` knows the line."""

STARTER = f"""\
#!/bin/sh
trap 'exit 143' TERM INT
exec 3<&0
/bin/sh <&3 3<&- >/dev/null 2>&1 &
until [ -e {GO_PATH} ]; do
  sleep 0.05 2>/dev/null || sleep 1
done
kill $! 2>/dev/null
wait $! 2>/dev/null
trap - TERM INT
{NO_PROGRAM}
exec "$@" </dev/null 3<&-
"""

STARTER_NAME = f"nds-starter-{hashlib.sha256(STARTER.encode()).hexdigest()[:12]}"
"""Name of its Swarm config: another text is another config, since none can be changed."""

LETTING_PATH = "/nds/.letting"

LETTING = f"""\
#!/bin/sh
if [ ! -w . ]; then
  NDS_RESULTS=${{TMPDIR:-/tmp}}/nds-results
  export NDS_RESULTS
  mkdir -p "$NDS_RESULTS" && cd "$NDS_RESULTS" || exit 126
  echo "nds: this user may not write to /results on this node; NDS_RESULTS is $NDS_RESULTS" >&2
fi
{NO_PROGRAM}
exec "$@"
"""
"""What runs first on a node without an endpoint. Nobody could make folders for its user there."""

LETTING_NAME = f"nds-letting-{hashlib.sha256(LETTING.encode()).hexdigest()[:12]}"

_COMMAND = ("/bin/sh", STARTER_PATH)
_LETTING_COMMAND = ("/bin/sh", LETTING_PATH)


def with_starter(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a service's container is told to run."""
    return (*_COMMAND, *command)


def let_go(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a container is told to run that waits for nothing any more."""
    return (*_LETTING_COMMAND, *without_starter(command))


def is_let_go(command: tuple[str, ...]) -> bool:
    """Whether a container that is told to run this waits for nothing."""
    return _start_of(command, _LETTING_COMMAND) is not None


def without_starter(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the job's command from what its service's container was told to run."""
    for head in (_COMMAND, _LETTING_COMMAND):
        if (start := _start_of(command, head)) is not None:
            return command[start + len(head) :]
    return command


def _start_of(command: tuple[str, ...], head: tuple[str, ...]) -> int | None:
    # The engine's init process stands before it in some answers.
    places = range(min(3, len(command)))
    return next((at for at in places if command[at : at + len(head)] == head), None)


def go_archive() -> bytes:
    """Return the archive that lets a script go; its file's time is the start of the script."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(GO_FILE)
        entry.mode, entry.mtime = 0o444, time.time()
        archive.addfile(entry)
    return buffer.getvalue()
