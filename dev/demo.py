"""Execute the quickstart notebook on a Docker Engine and show what comes out: `make demo`."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import nbformat
from nbclient.exceptions import CellExecutionError

from dev.console import SetupError, say
from dev.engine import cache_folder, engine, one_interrupt
from dev.engine_api import Endpoint
from dev.images import PYTHON_IMAGE, ensure_image
from dev.jupyter import Server, execute, jupyter_server, temporary_folder

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
                finally:
                    remove_jobs(server)
        say(
            f"\n{RULE}\nAll cells ran, in {time.monotonic() - began:.0f} s. {how_to_open(endpoint)}"
        )


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


def remove_jobs(server: Server) -> None:
    """Remove the demo's jobs and their containers: they would outlive the server."""
    try:
        for job in server.ask("GET", "nds/jobs?limit=1000"):
            server.ask("DELETE", f"nds/jobs/{job['job_id']}")
    except OSError as exc:
        say(f"The demo's jobs could not be removed: {exc}")


def how_to_open(endpoint: Endpoint) -> str:
    """Say how to work with the notebook, on the engine that the demo used."""
    private = endpoint.url.startswith(f"unix://{cache_folder()}") or "/run/nds-" in endpoint.url
    variables = " ".join(f"{k}={shlex.quote(v)}" for k, v in endpoint.environment.items())
    start = "python dev/engine.py run --" if private else f"env {variables}"
    root = " --allow-root" if Path.home() == Path("/root") else ""
    return (
        "To work with the notebook in JupyterLab:\n\n"
        f"    cd {shlex.quote(str(CHECKOUT))}\n"
        "    . .venv/bin/activate\n"
        "    pip install jupyterlab\n"
        f"    {start} jupyter lab{root} --NdsApp.default_image={PYTHON_IMAGE} "
        f"examples/{NOTEBOOK.name}\n"
    )


def main() -> int:
    """Run the command line."""
    try:
        with one_interrupt():
            run()
    except (SetupError, CellExecutionError) as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted; nothing is left running.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
