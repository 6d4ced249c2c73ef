"""Open JupyterLab on the example notebooks, with an engine and a folder of data: `make lab`."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.console import SetupError, say, tail
from dev.engine import cache_folder, engine
from dev.images import PYTHON_IMAGE, ensure_image
from dev.interrupts import exit_code
from dev.jupyter import disable_announcements, jupyter_server, remove_jobs, temporary_folder

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FIRST_PAGE = "lab/tree/quickstart.ipynb"
USUAL_PORT = 8888
TABLE = "station,height\nalp,10.1\nbay,11.4\ncape,12.2\n"

OPEN = """
JupyterLab with the example notebooks is at

    {address}

They are copies. When you stop this with ^C they are removed, with the data and all jobs:
download what you want to keep."""


def run() -> None:
    """Run JupyterLab until ^C, and leave nothing of it."""
    with engine() as endpoint:
        say(f"Docker Engine: {endpoint.url}")
        ensure_image(endpoint, PYTHON_IMAGE)
        with temporary_folder(cache_folder()) as folder:
            notebooks, data, temporary = (
                folder / name for name in ("examples", "examples/nds-data", "tmp")
            )
            copy_examples(notebooks, data)
            disable_announcements(folder)
            temporary.mkdir()
            arguments = [
                f"--LabApp.default_url=/{FIRST_PAGE}",
                f"--NdsApp.data_root={data}",
                # Shutting down from its menu would leave the jobs.
                "--ServerApp.quit_button=False",
            ]
            say("Starting JupyterLab …")
            with jupyter_server(
                endpoint,
                PYTHON_IMAGE,
                folder,
                arguments,
                application="jupyterlab",
                root=notebooks,
                port=USUAL_PORT,
                browser=True,
                # What the notebooks put there goes with the folder.
                environment={"TMPDIR": str(temporary)},
            ) as server:
                try:
                    say(OPEN.format(address=f"{server.url}{FIRST_PAGE}?token={server.token}"))
                    with suppress(KeyboardInterrupt):
                        server.process.wait()
                        raise SetupError(f"JupyterLab has ended. Its log:\n{tail(server.log)}")
                    say("\nRemoving the jobs and stopping JupyterLab …")
                finally:
                    remove_jobs(server)


def copy_examples(notebooks: Path, data: Path) -> None:
    """Copy the notebooks, so that running them changes no file of the checkout, and make data."""
    (data / "study").mkdir(parents=True)
    (data / "study" / "measurements.csv").write_text(TABLE)
    for notebook in EXAMPLES.glob("*.ipynb"):
        shutil.copy(notebook, notebooks)


if __name__ == "__main__":
    sys.exit(exit_code(run))
