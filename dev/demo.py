"""Execute the quickstart notebook on a Docker Engine and show what comes out: `make demo`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import nbformat
from nbclient.exceptions import CellExecutionError

from dev.console import SetupError, say
from dev.engine import cache_folder, engine
from dev.images import PYTHON_IMAGE, ensure_image
from dev.interrupts import exit_code
from dev.jupyter import execute, jupyter_server, remove_jobs, temporary_folder

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOK = CHECKOUT / "examples" / "quickstart.ipynb"
RULE = "─" * 78


def run() -> None:
    """Find or start what the notebook needs, execute it, and leave nothing running."""
    began = time.monotonic()
    with engine() as endpoint:
        say(f"Docker Engine: {endpoint.url}")
        ensure_image(endpoint, PYTHON_IMAGE)
        with temporary_folder(cache_folder()) as folder:
            say("Starting a Jupyter server with the extension …")
            with jupyter_server(endpoint, PYTHON_IMAGE, folder) as server:
                say(f"Jupyter server: {server.url}")
                try:
                    execute(server, NOTEBOOK, show, show_cell)
                except CellExecutionError as error:
                    raise SetupError(str(error)) from error
                finally:
                    remove_jobs(server)
        say(f"\n{RULE}\nAll cells ran, in {time.monotonic() - began:.0f} s.")
        say("`make lab` opens this notebook and others in JupyterLab.")


def show(text: str) -> None:
    """Print a cell's output as it comes."""
    sys.stdout.write(text)
    sys.stdout.flush()


def show_cell(cell: nbformat.NotebookNode) -> None:
    """Print a cell: prose as it is, code behind a prompt."""
    source = str(cell.source)
    if cell.cell_type == "code":
        source = "\n".join(f"  │ {line}" for line in source.splitlines())
    show(f"\n{RULE if cell.cell_type == 'markdown' else ''}\n{source}\n\n")


if __name__ == "__main__":
    sys.exit(exit_code(run))
