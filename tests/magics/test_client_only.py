"""A kernel's environment without the server's parts: no docker, no jupyter_server, no irods."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.connect import write_connection_file

from tests.magics.notebook import Notebook, connect

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


# No site: the environment of the tests is not there.
PYTHON = [sys.executable, "-S"]


def run(packages: Path, *words: str, **env: str) -> str:
    given = {**os.environ, **env, "PYTHONPATH": str(packages)}
    done = subprocess.run(
        [*PYTHON, *words],
        env=given,
        capture_output=True,
        text=True,
        check=False,
        cwd=packages,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_module_of_the_kernel_side_can_be_imported(packages: Path) -> None:
    code = (
        "import importlib, pkgutil, nds_jupyter.magics, nds_jupyter.values\n"
        "for package in (nds_jupyter.magics, nds_jupyter.values):\n"
        "    for module in pkgutil.iter_modules(package.__path__):\n"
        "        importlib.import_module(f'{package.__name__}.{module.name}')\n"
        "import nds_jupyter.cli.program\n"
        "try:\n"
        "    import docker\n"
        "except ImportError:\n"
        "    print('no docker here')\n"
    )
    assert run(packages, "-c", code) == "no docker here\n"


@pytest.fixture
def client_only_notebook(packages: Path, notebook: Notebook) -> Iterator[Notebook]:
    """Give a kernel of that environment, which no server has started."""
    server = notebook.server
    kernel_id = f"far-{uuid.uuid4()}"
    path = server.runtime_folder / f"kernel-{kernel_id}.json"
    write_connection_file(str(path), ip="127.0.0.1", key=os.urandom(16).hex().encode())
    known = {"NDS_URL": server.url, "NDS_TOKEN": server.token, "PYTHONPATH": str(packages)}
    child = subprocess.Popen(
        [*PYTHON, "-m", "ipykernel_launcher", "-f", str(path)],
        env={**os.environ, **known},
        cwd=packages,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        opened = Notebook(server, kernel_id, connect(server, kernel_id))
        yield opened
        opened.close()
    finally:
        child.kill()
        child.wait()


@pytest.mark.engine
@pytest.mark.kernel
def test_kernel_without_server_packages_has_every_magic(client_only_notebook: Notebook) -> None:
    client_only_notebook.run("%load_ext nds_jupyter").must_succeed()
    absent = "[importlib.util.find_spec(name) for name in ('docker', 'jupyter_server', 'irods')]"
    assert client_only_notebook.value(f"import importlib; {absent}") == "[None, None, None]"
    client_only_notebook.run("numbers = [3, 1]").must_succeed()
    cell = client_only_notebook.run(
        "%%ndsjob --in numbers --out ordered --job far\nordered = sorted(numbers); print('here')"
    ).must_succeed()
    assert "here" in cell.stdout
    assert client_only_notebook.value("ordered") == "[1, 3]"
    assert "here" in client_only_notebook.run("%ndslogs far").must_succeed().stdout
    assert "COMPLETED" in client_only_notebook.run("%ndsjobs").must_succeed().text
    assert client_only_notebook.value("await far") != ""
    assert "found by NDS_URL" in client_only_notebook.run("%ndsdoctor").must_succeed().text
    assert "--image" in client_only_notebook.complete("%%ndsjob --im")


@pytest.mark.engine
@pytest.mark.kernel
def test_command_line_works_without_server_packages(
    packages: Path, notebook: Notebook, tmp_path: Path
) -> None:
    script = tmp_path / "far.py"
    script.write_text("print(6 * 7)")
    server = notebook.server
    known = {"NDS_URL": server.url, "NDS_TOKEN": server.token}
    assert run(packages, "-m", "nds_jupyter", "submit", str(script), **known) == "42\n"
    assert run(packages, "-m", "nds_jupyter", "logs", "-1", **known) == "42\n"
    assert "found by NDS_URL" in run(packages, "-m", "nds_jupyter", "doctor", **known)
