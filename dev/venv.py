"""Make the checkout's virtual environment: `python3 dev/venv.py FOLDER`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

OLDEST = (3, 11)


def make(folder: Path) -> None:
    """Make a virtual environment of the running Python, which must be new enough."""
    from dev.console import SetupError, say
    from dev.debian import install, is_debian_root
    from dev.engine import cache_folder

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{version}-venv"
        if not is_debian_root():
            raise SetupError(f"Python's ensurepip is missing: install {package} and try again.")
        install([package], cache_folder())
    say(f"Making {folder} with Python {version} …")
    # A process of its own: this one looked before ensurepip was installed.
    command = [sys.executable, "-m", "venv", "--clear", os.fspath(folder)]
    # Interrupted, it kills what it started, which then leaves its temporary files.
    with TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        try:
            made = subprocess.run(command, env={**os.environ, "TMPDIR": temporary}, check=False)
        except KeyboardInterrupt:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    if made.returncode != 0:
        raise SetupError(f"{sys.executable} -m venv failed; its message is above.")


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if sys.version_info < OLDEST:
        needed = ".".join(map(str, OLDEST))
        print(
            f"Python {needed} or newer is needed, and {sys.executable} is "
            f"{sys.version.split()[0]}. Name one: make PYTHON=python{needed}",
            file=sys.stderr,
        )
        return 1
    from dev.interrupts import exit_code

    return exit_code(lambda: make(Path(arguments[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
