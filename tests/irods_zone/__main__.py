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
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="irods-zone-") as temporary:
        folder = (asked.folder or Path(temporary)) / "zone"
        with Zone(folder, port=asked.port, tls=asked.tls) as zone:
            print(zone.environment_file(asked.user), flush=True)  # noqa: T201
            try:
                signal.pause()
            except KeyboardInterrupt:
                return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
