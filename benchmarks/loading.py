"""What the extension costs a server's start and a notebook's first cell."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.bench import Bench, alternate
from benchmarks.report import Figure, median

BARE = "import jupyter_server.serverapp, jupyter_server.extension.application"
WITH = f"{BARE}; import nds_jupyter; nds_jupyter._jupyter_server_extension_points()"
SHELL = "from IPython.core.interactiveshell import InteractiveShell as S; s = S()"
LOADED = f"{SHELL}; s.run_line_magic('load_ext', 'nds_jupyter')"


def python(code: str) -> None:
    """Run a program in a fresh interpreter, with the package as it is installed."""
    # In the checkout's folder its sources would be found, and compiled each time.
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tempfile.gettempdir())


def extensions(bench: Bench) -> Iterator[Figure]:
    """Import time of both extensions, beside the programs that load them."""
    for what, rival, ours, theirs, goal in (
        ("loading the server extension", "importing jupyter_server", WITH, BARE, 100.0),
        ("%load_ext nds_jupyter", "a bare IPython shell", LOADED, SHELL, 150.0),
    ):
        mine, other = alternate(
            lambda code=ours: python(code),  # type: ignore[misc]
            lambda code=theirs: python(code),  # type: ignore[misc]
            bench.repeats * 2,
        )
        yield Figure(
            what=what,
            rival=rival,
            ours=median(mine) * 1000,
            theirs=median(other) * 1000,
            unit="ms",
            at_most=goal,
            difference=True,
        )
