"""Chromium for the browser tests: the machine's own, or Debian's."""

from __future__ import annotations

from pathlib import Path

from dev.console import SetupError
from dev.debian import find_program, install, is_debian_root

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""What a headless Chromium needs in a container as root, and what keeps it off the network."""


def ensure_chromium(log_folder: Path) -> str:
    """Return the path of Chromium, installed from Debian where it is missing.

    Raises
    ------
    SetupError
        There is none and it can't be installed here.
    """
    found = _find()
    if found is None and is_debian_root():
        install(["chromium", "fonts-dejavu-core"], log_folder)
        found = _find()
    if found is None:
        raise SetupError("Chromium is not here: install it, and run the browser tests again.")
    return found


def _find() -> str | None:
    return next(filter(None, map(find_program, NAMES)), None)
