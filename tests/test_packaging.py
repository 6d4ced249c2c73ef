"""What `pip install nds-jupyter` alone brings about, tried on the built wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nds_jupyter import __version__

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parent.parent
# `jupyter server extension`, without the scripts that only an environment of its own has.
EXTENSION_TOOL = "from jupyter_server.extension.serverextension import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of an environment that has the wheel, and our dependencies as well."""
    folder = tmp_path_factory.mktemp("packaging")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(CHECKOUT)])
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    python = environment / "bin" / "python"
    run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)])
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(command: list[str], **env: str) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")} | env,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr)


def test_installing_the_wheel_enables_the_server_extension(installed: Path, tmp_path: Path) -> None:
    listed = run(
        [str(installed), "-c", EXTENSION_TOOL, "list"],
        JUPYTER_CONFIG_DIR=str(tmp_path),
        JUPYTER_DATA_DIR=str(tmp_path),
        HOME=str(tmp_path),
    )
    assert "nds_jupyter enabled" in listed
    assert re.search(r"nds_jupyter \d\S* OK", listed), listed


def test_the_wheel_is_typed_and_imports_nothing_heavy(installed: Path) -> None:
    seen = run(
        [
            str(installed),
            "-c",
            "import nds_jupyter, pathlib, sys;"
            "print((pathlib.Path(nds_jupyter.__file__).parent / 'py.typed').exists());"
            "print([name for name in ('docker', 'httpx', 'msgspec', 'IPython', 'jupyter_server')"
            " if name in sys.modules])",
        ]
    )
    assert seen.split("\n")[:2] == ["True", "[]"]


def test_the_wheel_brings_the_front_end_to_jupyterlab_and_to_kernels(installed: Path) -> None:
    environment = installed.parent.parent
    extension = environment / "share" / "jupyter" / "labextensions" / "nds-jupyter"
    described = json.loads((extension / "package.json").read_text())
    assert (extension / described["jupyterlab"]["_build"]["load"]).exists()
    (static,) = environment.glob("lib/python*/site-packages/nds_jupyter/widgets/static")
    served = {path.name: path.read_bytes() for path in (extension / "static").iterdir()}
    assert {path.name: path.read_bytes() for path in static.iterdir()} == served
    assert not list(environment.glob("**/node_modules"))


def test_the_front_end_has_the_version_of_the_package() -> None:
    described = json.loads((CHECKOUT / "labextension" / "package.json").read_text())
    module = CHECKOUT / "nds_jupyter" / "widgets" / "static" / "version.js"
    assert described["version"] == __version__
    assert f'VERSION = "{__version__}"' in module.read_text()
