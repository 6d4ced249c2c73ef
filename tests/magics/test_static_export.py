"""Jobs and lists of jobs in an exported notebook: tables of text, without a script of ours."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

from dev.jupyter import Server, execute

pytestmark = [pytest.mark.engine, pytest.mark.kernel]

HOSTILE = "<img src=x onerror=alert(1)>"
CELLS = (
    "%load_ext nds_jupyter",
    f'%%ndsjob --name "{HOSTILE}" --job done\nprint("<script>alert(2)</script>")',
    "done",
    "%ndsjobs",
)


class Page(HTMLParser):
    """What a browser would make of an exported notebook."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts = 0
        self.tables: list[list[str]] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.handlers += [f"{tag} {name}={value}" for name, value in attrs if name[:2] == "on"]
        if tag == "table":
            self.tables.append([])

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.tables:
            self.tables[-1].append(data)


def exported(notebook: nbformat.NotebookNode) -> Page:
    html, _ = HTMLExporter().from_notebook_node(notebook)
    return Page(html)


def test_exported_notebook_has_tables_and_no_script_of_ours(server: Server, tmp_path: Path) -> None:
    make: Any = nbformat.v4
    notebook = make.new_notebook(cells=[make.new_code_cell(cell) for cell in CELLS])
    path = tmp_path / "jobs.ipynb"
    nbformat.write(notebook, path)
    page = exported(execute(server, path))
    without_outputs = exported(notebook)
    assert page.scripts == without_outputs.scripts
    assert page.handlers == without_outputs.handlers
    *of_a_job, of_jobs = page.tables
    assert of_a_job
    for table in page.tables:
        assert HOSTILE in table
        assert {"state", "image"} <= set(table)
    assert {"job", "state", "name", "image", "worker", "created", "took"} <= set(of_jobs)
    assert "COMPLETED" in of_jobs
    assert "<script>alert(2)</script>" in page.text
