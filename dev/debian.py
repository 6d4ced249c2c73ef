"""Packages of the machine, installed only as root on Debian and only where something is missing."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.console import SetupError, run_logged
from dev.interrupts import delayed_interrupts

LOCK = Path("/run/lock/nds-jupyter-packages")
POLICY = Path("/usr/sbin/policy-rc.d")
SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(name: str) -> str | None:
    """Return a program's path, looking in the `sbin` folders too."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


def is_debian_root() -> bool:
    """Tell whether packages can be installed here by `apt-get` without asking anybody."""
    return os.geteuid() == 0 and find_program("apt-get") is not None and bool(codename())


def codename() -> str:
    """Return Debian's release name (`bookworm`), empty elsewhere."""
    release = Path("/etc/os-release")
    if not release.exists():
        return ""
    fields = dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line)
    if fields.get("ID", "").strip('"') != "debian":
        return ""
    return fields.get("VERSION_CODENAME", "").strip('"')


@contextmanager
def no_services_started() -> Iterator[None]:
    """Keep packages from starting their system services while they are installed."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(packages: Sequence[str], log_folder: Path) -> None:
    """Install packages without questions, without recommended ones, without starting services.

    One process at a time does: apt-get would refuse a second one the lists of packages.
    """
    apt = find_program("apt-get")
    if apt is None:
        raise SetupError(f"apt-get is not here: install {' '.join(packages)} by hand.")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    names = " ".join(packages)
    with _one_at_a_time(), no_services_started():
        run_logged(
            "Updating apt's package lists",
            [apt, "-q", *wait, "update"],
            log_folder / "apt-update.log",
            env,
        )
        # Half of it would leave dpkg at work, and a machine on which nothing can be installed.
        with delayed_interrupts():
            run_logged(
                f"Installing {names} (^C waits for its end)",
                [apt, "-q", "-y", *wait, "install", "--no-install-recommends", *packages],
                log_folder / "apt-install.log",
                env,
                new_session=True,
            )
