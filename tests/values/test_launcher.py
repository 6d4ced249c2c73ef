"""A cell with values, run as a container does: what goes in, what is left, and how it fails."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from nds_jupyter.jobs.script import extract_cell
from nds_jupyter.values import formats
from nds_jupyter.values.bundle import RequestedValue, ValueOptions, bundle_cell

OPTIONS = ValueOptions(allow_pickle=False, max_size=2**30)


def launch(
    folder: Path,
    cell: str,
    values: dict[str, object],
    out: list[str],
    python: Sequence[str | Path] = (sys.executable, "-I"),
) -> subprocess.CompletedProcess[str]:
    """Run a bundle as a container does, with an isolated interpreter."""
    given = {RequestedValue(name=name): value for name, value in values.items()}
    wanted = [RequestedValue.parse(name, "--out") for name in out]
    bundle = bundle_cell(cell, given, wanted, OPTIONS, path="/nds/cell.py")
    assert not bundle.files
    archive = folder / "cell.pyz"
    with zipfile.ZipFile(io.BytesIO(bundle.script)) as old, zipfile.ZipFile(archive, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "plan.json":
                content = json.dumps({**json.loads(content), "results": str(folder)}).encode()
            new.writestr(name, content)
    return subprocess.run(
        [*python, archive], capture_output=True, text=True, check=False, cwd=folder
    )


def test_output_values_are_saved(tmp_path: Path) -> None:
    cell = "import pandas as pd\nt = pd.DataFrame({'a': [x]})\nn = x * 2\n"
    done = launch(tmp_path, cell, {"x": 2}, ["t.csv", "n"])
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "t.csv").read_text() == "a\n2\n"
    assert (tmp_path / "n.json").read_text() == "4"


def test_value_without_format_is_kept_as_a_pickle_and_the_rest_is_saved(tmp_path: Path) -> None:
    done = launch(tmp_path, "r = range(3)\nn = 1", {}, ["r", "gone", "n"])
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["--out r", "--out gone"]
    assert "job.value('r', allow_pickle=True)" in lines[0]
    with (tmp_path / "r.pickle").open("rb") as file:
        assert formats.load(".pickle", file, allow_pickle=True) == range(3)
    assert (tmp_path / "n.json").read_text() == "1"
    assert not list(tmp_path.glob(".*"))


BARE = "import sys; sys.modules['numpy'] = sys.modules['pyarrow'] = None; import runpy; "


def test_image_without_numpy_says_so_before_the_cell_runs(tmp_path: Path) -> None:
    launcher = tmp_path / "bare.py"
    launcher.write_text(f"{BARE}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])")
    python = (sys.executable, "-I", launcher)
    done = launch(tmp_path, "print('ran')", {"a": np.eye(2)}, [], python)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("--in a: numpy is not installed")
    assert "--requirements" in done.stderr


def test_old_python_is_named() -> None:
    bundle = bundle_cell("", {}, [], OPTIONS, path="/nds/cell.py", shebang="#!/usr/bin/python3")
    assert isinstance(bundle.script, bytes)
    assert bundle.script.startswith(b"#!/usr/bin/python3\nPK")
    assert extract_cell(bundle.script) == b""
    assert extract_cell(b"#!/bin/sh\n") is None
    with zipfile.ZipFile(io.BytesIO(bundle.script)) as archive:
        start = archive.read("__main__.py").decode()
    ast.parse(start, feature_version=(3, 4))
    assert "3.8 is needed" in start
    for name in ("json_codec", "tables", "formats", "launcher"):
        shipped = (resources.files("nds_jupyter.values") / f"{name}.py").read_text()
        ast.parse(shipped, feature_version=(3, 8))


def test_cell_runs_as_the_main_module(tmp_path: Path) -> None:
    cell = (
        "import sys, json, __main__\n"
        "class Mine: pass\n"
        "print(json.dumps([__name__, __file__, sys.argv, sys.path[0], x,"
        " __main__.Mine is Mine]))\n"
    )
    done = launch(tmp_path, cell, {"x": [1, "é"]}, [])
    assert json.loads(done.stdout) == [
        "__main__",
        "/nds/cell.py",
        ["/nds/cell.py"],
        "/nds",
        [1, "é"],
        True,
    ]
    assert done.stderr == ""


def test_error_of_a_cell_shows_the_cell_alone(tmp_path: Path) -> None:
    done = launch(tmp_path, "def f():\n    return 1 / 0\nf()\n", {"x": 1}, [])
    assert done.returncode == 1
    assert "launcher" not in done.stderr
    assert 'File "/nds/cell.py", line 2, in f\n    return 1 / 0' in done.stderr


def test_missing_variable_fails_with_a_sentence(tmp_path: Path) -> None:
    done = launch(tmp_path, "pass", {}, ["total"])
    assert done.returncode == 1
    assert done.stderr == "--out total: the script ended without a variable total.\n"


@pytest.mark.parametrize(("code", "expected"), [("3", 3), ("'why'", 1), ("0", 1)])
def test_exit_code_of_the_cell_counts(tmp_path: Path, code: str, expected: int) -> None:
    done = launch(tmp_path, f"raise SystemExit({code})", {}, ["total"])
    assert done.returncode == expected
