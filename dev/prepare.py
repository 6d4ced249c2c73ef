"""What a run of all tests needs of Debian, fetched at once and beside other work: for `.ci/run`.

Whatever needs one of these gets it by itself where it is missing. That happens one after another,
in the middle of the tests; here it happens while pip keeps one core busy.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.debian import find_program, install, is_debian_root
from dev.engine import cache_folder
from dev.images import PYTHON_IMAGE, R_IMAGE, ensure_rootfs
from dev.interrupts import exit_code

NEEDED = {
    "busybox": "busybox-static",
    "chromium": "chromium",
    "dockerd": "docker.io",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "node": "nodejs",
    "npm": "npm",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
}
"""Programs, and the packages that have them."""


def run() -> None:
    """Fetch what is missing; what fails here fails again, and is told, where it is needed."""
    if not is_debian_root():
        return
    missing = [package for program, package in NEEDED.items() if find_program(program) is None]
    if missing:
        install([*missing, "ca-certificates", "fonts-dejavu-core"], cache_folder())
    for name in (PYTHON_IMAGE, R_IMAGE):
        ensure_rootfs(name)


if __name__ == "__main__":
    sys.exit(exit_code(run))
