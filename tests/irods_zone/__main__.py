"""Start a zone and tell where its environment file is: `python -m tests.irods_zone [FOLDER]`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.irods_zone.zone import Zone


def main() -> int:
    """Run a zone until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.irods_zone", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="an empty place for the zone's data")
    parser.add_argument("--port", type=int, default=0, help="where it listens (default: anywhere)")
    parser.add_argument("--tls", action="store_true", help="insist on TLS")
    parser.add_argument("--user", default="rods", help="whose environment is written")
    parser.add_argument("--many", type=int, default=0, help="objects of 1 KiB in ~/many")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="irods-zone-") as temporary:
        folder = (asked.folder or Path(temporary)) / "zone"
        with Zone(folder, port=asked.port, tls=asked.tls) as zone:
            if asked.many:
                fill(zone, asked.user, asked.many)
            print(zone.environment_file(asked.user), flush=True)  # noqa: T201
            try:
                signal.pause()
            except KeyboardInterrupt:
                return 0
    return 0


def fill(zone: Zone, user: str, number: int) -> None:
    """Make many small objects in a collection of a user's home."""
    collection = f"{zone.home(user)}/many"
    with zone.session(user) as session:
        session.collections.create(collection)
    zone.fill(collection, [f"object-{index:06d}" for index in range(number)], b"x" * 1024)


if __name__ == "__main__":
    sys.exit(main())
