"""Installation of npm, from Debian where missing, and of the packages that check the front end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.console import SetupError, say
from dev.debian import find_program, install, is_debian_root
from dev.engine import cache_folder

CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Install what package-lock.json pins into `node_modules`."""
    try:
        npm = _ensure_npm()
    except SetupError as error:
        say(f"\n{error}")
        return 1
    command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode


def _ensure_npm() -> str:
    if find_program("npm") is None and is_debian_root():
        install(["nodejs", "npm"], cache_folder())
    npm = find_program("npm")
    if npm is None:
        raise SetupError("npm is not here: install Node.js with npm, and try again.")
    return npm


if __name__ == "__main__":
    sys.exit(main())
