"""Panels in a page that can't reach the server: they go through the kernel, and say so."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dev.images import PYTHON_IMAGE
from dev.jupyter import Server, disable_announcements, jupyter_server
from tests.browser.conftest import NOT_OURS, Watch
from tests.browser.lab import ARGUMENTS, TOKEN, Lab, started
from tests.browser.notebooks import run_all_cells, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.engine]

COUNTING = """
import time
for n in range(3000):
    print("line", n, flush=True)
    time.sleep(0.1)
"""
NO_JUPYTER_PAGE = """import IPython.display as d
d.Javascript("document.getElementById('jupyter-config-data').remove()")"""
SENTENCE = "what it shows comes through the kernel, and waits while a cell runs"


@pytest.fixture
def elsewhere(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """Give a JupyterLab without our extension, whose kernels know the server that has it."""
    extensions = tmp_path / "labextensions"
    extensions.mkdir()
    installed = Path(sys.prefix, "share", "jupyter", "labextensions")
    for name in ("@jupyter-widgets", "anywidget"):
        (extensions / name).symlink_to(installed / name)
    disable_announcements(tmp_path)
    arguments = [
        *(each for each in ARGUMENTS if "NdsApp" not in each),
        f"--LabApp.labextensions_path={extensions}",
        "--ServerApp.jpserver_extensions=nds_jupyter=False",
    ]
    with jupyter_server(
        lab.endpoint,
        PYTHON_IMAGE,
        tmp_path,
        arguments,
        application="jupyterlab",
        environment={"NDS_URL": lab.server.url, "NDS_TOKEN": TOKEN},
        ready="api/status",
    ) as server:
        yield server


def test_jobs_log_stop_and_form_work_through_the_kernel(
    lab: Lab,
    elsewhere: Server,
    context: BrowserContext,
    watch: Watch,
    shoot: Callable[[Page, str], Path],
) -> None:
    (lab.data / "small").mkdir(exist_ok=True)
    (lab.data / "small" / "notes.txt").write_text("some notes")
    job_id = lab.submit(COUNTING, name="relayed")
    cells = ("%load_ext nds_jupyter", "%ndspanel", NO_JUPYTER_PAGE, "%ndsdata /small")
    write_notebook(elsewhere, "elsewhere", *cells)
    # It asks whether the routes and modules are there, and finds that they are not.
    watch.expected = re.compile(f"{NOT_OURS.pattern}|status of 404.*(/nds/|nds-jupyter)")
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 1600})
    watch.over(page)
    page.goto(f"{elsewhere.url}lab/tree/elsewhere.ipynb?token={TOKEN}&reset")
    run_all_cells(started(page, "File Browser"))
    panel, data = (page.locator(".jp-OutputArea-output .nds-place").nth(n) for n in (0, 1))
    expect(panel.get_by_role("alert")).to_contain_text(SENTENCE)
    expect(panel.locator(f'[data-job="{job_id}"]')).to_have_attribute("data-state", "running")
    panel.locator(f'[data-job="{job_id}"]').click()
    expect(panel.get_by_role("heading", name="relayed")).to_be_visible()
    expect(panel.get_by_role("alert")).to_contain_text(SENTENCE)
    last = panel.get_by_role("log").locator(".nds-log-row").last
    expect(last).to_contain_text("line")
    seen = last.inner_text()
    expect(last).not_to_have_text(seen)
    shoot(page, "elsewhere")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("stopped on request")).to_be_visible()
    assert lab.job(job_id)["reason"] == "stopped"

    panel.get_by_role("button", name="Back to all jobs").click()
    panel.get_by_role("button", name="New job").click()
    form = panel.get_by_role("region", name="New job")
    form.get_by_label("Script", exact=True).fill("print('submitted through the kernel')")
    form.get_by_role("button", name="Run").click()
    expect(panel.get_by_role("log")).to_contain_text("submitted through the kernel")

    # The same in a page that is not Jupyter's.
    data.get_by_role("button", name="notes.txt").click()
    details = data.get_by_role("region", name="Details of notes.txt")
    details.get_by_role("button", name="Preview").click()
    expect(details.get_by_text("some notes")).to_be_visible()
    expect(data.get_by_role("button", name="Upload files")).to_be_disabled()
    page.close()
