"""A kernel's environment without the server's parts: no docker, no jupyter_server, no irods."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.magics.notebook import Notebook

SERVER_SIDE = ("docker", "jupyter_server", "irods", "python_irodsclient", "fsspec", "anywidget")
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with everything of this environment but the server's parts."""
    folder = tmp_path_factory.mktemp("packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith((*SERVER_SIDE, "nds_jupyter", "__pycache__")):
            (folder / entry.name).symlink_to(entry)
    (folder / "nds_jupyter").symlink_to(CHECKOUT / "nds_jupyter")
    return folder


def run(packages: Path, code: str, **env: str) -> str:
    # No site: the environment of the tests is not there.
    command = [sys.executable, "-S", "-c", code]
    given = {**os.environ, **env, "PYTHONPATH": str(packages)}
    done = subprocess.run(
        command, env=given, capture_output=True, text=True, check=False, cwd=packages, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_module_of_the_kernel_side_can_be_imported(packages: Path) -> None:
    code = (
        "import importlib, pkgutil, nds_jupyter.magics, nds_jupyter.values\n"
        "for package in (nds_jupyter.magics, nds_jupyter.values):\n"
        "    for module in pkgutil.iter_modules(package.__path__):\n"
        "        importlib.import_module(f'{package.__name__}.{module.name}')\n"
        "import nds_jupyter.cli\n"
        "try:\n"
        "    import docker\n"
        "except ImportError:\n"
        "    print('no docker here')\n"
    )
    assert run(packages, code) == "no docker here\n"


@pytest.mark.engine
@pytest.mark.kernel
def test_cell_runs_from_there(packages: Path, notebook: Notebook) -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'nds_jupyter')\n"
        "done = shell.run_cell('%%ndsjob --quiet --job far\\nprint(6 * 7)')\n"
        "done.raise_error()\n"
        "print(shell.user_ns['far'].logs())\n"
    )
    server = notebook.server
    said = run(packages, code, NDS_URL=server.url, NDS_TOKEN=server.token)
    assert "42" in said.split()
