"""Values for scripts of other languages, as the documentation shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.engine_api import Endpoint
from dev.images import R_IMAGE, ensure_image
from tests.magics.notebook import Notebook

pytestmark = [pytest.mark.engine, pytest.mark.kernel]

DOCS = Path(__file__).resolve().parents[2] / "docs" / "magics.md"


@pytest.fixture
def r_cell(docker_engine: Endpoint) -> str:
    """Give the R cell of the documentation, for the image that this engine has."""
    ensure_image(docker_engine, R_IMAGE)
    lines = DOCS.read_text("utf-8").splitlines()
    begin = next(n for n, line in enumerate(lines) if "--scriptname mean.R" in line)
    cell = "\n".join(line[4:] for line in lines[begin : lines.index("", begin)])
    changed, images = re.subn(r"--image \S+", f"--image {R_IMAGE}", cell)
    assert images == 1
    return changed


def test_r_reads_a_table_and_leaves_a_number(notebook: Notebook, r_cell: str) -> None:
    notebook.run(
        "import pandas as pd\n"
        "heights = pd.DataFrame({'h': [1.5, 2.5, 4.25], 'name': ['ä', 'b', 'c']})"
    ).must_succeed()
    notebook.run(r_cell).must_succeed()
    assert notebook.value("mean") == "2.75"


def test_failing_r_script_shows_its_own_message(notebook: Notebook, r_cell: str) -> None:
    notebook.run("import pandas as pd; heights = pd.DataFrame({'h': [1.0]})").must_succeed()
    shown = notebook.run(f"{r_cell}\nstop('no luck')").shown_error
    assert "no luck" in shown
