"""A notebook in JupyterLab, made by the REST API and run as a user would."""

from __future__ import annotations

from typing import Any

import nbformat
from playwright.sync_api import Page

from dev.jupyter import Server

RUN_ALL = """async () => {
  const panel = jupyterapp.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  jupyterapp.commands.execute("notebook:run-all-cells");
}"""


def write_notebook(server: Server, name: str, *cells: str) -> None:
    """Write a notebook of code cells."""
    make: Any = nbformat.v4
    notebook = make.new_notebook(cells=[make.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    content = {"type": "notebook", "content": notebook}
    server.ask("PUT", f"api/contents/{name}.ipynb", content)


def run_all_cells(page: Page) -> Page:
    """Begin to run the cells of the notebook that is open, once its kernel is there."""
    page.locator(".jp-Notebook").wait_for()
    page.evaluate(RUN_ALL)
    return page
