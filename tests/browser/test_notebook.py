"""Panels in a notebook: they work while the kernel sleeps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

RUN_ALL = """async () => {
  const panel = jupyterapp.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  jupyterapp.commands.execute("notebook:run-all-cells");
}"""

JOB = """%%ndsjob --detach --name from-a-magic
import time
n = 0
while True:
    n += 1
    print("line", n, flush=True)
    time.sleep(0.1)
"""
ASLEEP = "print('the kernel', 'sleeps')\nimport time; time.sleep(600)"


@pytest.fixture
def run_notebook(lab: Lab, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Give a function that opens a notebook of some cells and begins to run them."""

    def run_notebook(name: str, *cells: str) -> Page:
        make: Any = nbformat.v4
        notebook = make.new_notebook(cells=[make.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        content = {"type": "notebook", "content": notebook}
        lab.server.ask("PUT", f"api/contents/{name}.ipynb", content)
        page = open_page(f"lab/tree/{name}.ipynb", height=1600)
        page.locator(".jp-Notebook").wait_for()
        page.evaluate(RUN_ALL)
        return page

    return run_notebook


def test_panel_streams_and_stops_while_the_kernel_sleeps(
    lab: Lab, run_notebook: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    page = run_notebook("asleep", "%load_ext nds_jupyter", "%ndspanel", JOB, ASLEEP)
    expect(page.locator(".jp-OutputArea-output").get_by_text("the kernel sleeps")).to_be_visible()
    output = page.locator(".jp-OutputArea-output .nds-place")
    row = output.locator('[data-state="running"]', has_text="from-a-magic")
    row.click()
    log = output.get_by_role("log")
    expect(log).to_contain_text("line 3")
    seen = log.locator(".nds-log-row").last.inner_text()
    expect(log.locator(".nds-log-row").last).not_to_have_text(seen)
    shoot(page, "notebook")
    output.get_by_role("button", name="Stop").click()
    expect(output.get_by_text("stopped on request")).to_be_visible()
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text("[*]:")
    (job,) = [each for each in lab.jobs() if each["name"] == "from-a-magic"]
    assert job["reason"] == "stopped"


def test_path_from_the_data_panel_goes_into_the_cell_below(
    lab: Lab, run_notebook: Callable[..., Page]
) -> None:
    (lab.data / "small").mkdir(exist_ok=True)
    (lab.data / "small" / "notes.txt").write_text("some notes")
    page = run_notebook("data", "%load_ext nds_jupyter", "%ndsdata /small", "below = ")
    output = page.locator(".jp-OutputArea-output .nds-place")
    output.get_by_role("button", name="notes.txt").click()
    details = output.get_by_role("region", name="Details of notes.txt")
    details.get_by_role("button", name="Insert path in cell").click()
    cell = page.locator(".jp-CodeCell .cm-content").last
    expect(cell).to_contain_text('"/small/notes.txt"')
    expect(cell).to_contain_text("below = ")


BLOCKING = """%%ndsjob --name {name} --job {name}
import time
print("{name}", "begins", flush=True)
time.sleep(600)
"""


def test_blocking_cell_is_sent_to_the_background_and_stopped_by_its_buttons(
    lab: Lab, run_notebook: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    page = run_notebook(
        "blocking",
        "%load_ext nds_jupyter",
        BLOCKING.format(name="leave"),
        "print('the next cell', 'runs')",
        BLOCKING.format(name="end"),
    )
    leaving, following, ending = (page.locator(".jp-CodeCell").nth(number) for number in (1, 2, 3))
    expect(leaving.locator(".jp-OutputArea-output").get_by_text("leave begins")).to_be_visible()
    shoot(page, "blocking")
    expect(leaving.locator(".jp-InputPrompt")).to_have_text("[*]:")
    leaving.get_by_role("button", name="Send to background").click()
    expect(following.get_by_text("the next cell runs")).to_be_visible()
    expect(leaving.get_by_text("This line tells when it has ended")).to_be_visible()
    expect(leaving.get_by_role("button", name="Stop")).to_have_count(0)
    expect(ending.locator(".jp-OutputArea-output").get_by_text("end begins")).to_be_visible()
    expect(ending.locator(".jp-InputPrompt")).to_have_text("[*]:")
    ending.get_by_role("button", name="Stop").click()
    expect(ending.get_by_text("Stopped on request").first).to_be_visible()
    expect(ending.get_by_role("button", name="Stop")).to_have_count(0)
    expect(ending.locator(".jp-InputPrompt")).not_to_have_text("[*]:")
    by_name = {job["name"]: job for job in lab.jobs()}
    assert (by_name["leave"]["state"], by_name["end"]["reason"]) == ("RUNNING", "stopped")
    lab.server.ask("POST", f"nds/stop?job_id={by_name['leave']['job_id']}", timeout=60)
    expect(leaving.get_by_text("Stopped on request")).to_be_visible()


def test_panel_says_so_and_asks_the_kernel_where_the_page_cannot_reach_the_server(
    lab: Lab, run_notebook: Callable[..., Page]
) -> None:
    job_id = lab.submit("print('through the kernel')", name="relayed")
    # Whatever page it is: one that knows no Jupyter server has no such element.
    elsewhere = """import IPython.display as d
d.Javascript("document.getElementById('jupyter-config-data').remove()")"""
    page = run_notebook("elsewhere", "%load_ext nds_jupyter", elsewhere, f"%ndspanel {job_id}")
    output = page.locator(".jp-OutputArea-output .nds-place")
    expect(output.get_by_role("alert")).to_contain_text("comes through the kernel")
    expect(output.get_by_role("heading", name="relayed")).to_be_visible()
    expect(output.get_by_role("log")).to_contain_text("through the kernel")


def test_tab_shows_jobs_with_their_names(
    lab: Lab, run_notebook: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    job_id = lab.submit("print('done')", name="heights-of-alps")
    page = run_notebook("tab", "%load_ext nds_jupyter", "print('load', 'ed')", "# below")
    expect(page.locator(".jp-OutputArea-output").get_by_text("load ed")).to_be_visible()
    page.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("%ndsstop ")
    named = page.locator(".jp-Completer-match", has_text=job_id)
    offered = page.locator(".jp-Completer-item", has=named)
    for _ in range(20):
        page.keyboard.press("Tab")
        # JupyterLab waits a second for a kernel, which is little on a busy machine.
        with contextlib.suppress(PlaywrightTimeout):
            offered.wait_for(timeout=3000)
            break
        page.keyboard.press("Escape")
        page.locator(".jp-CodeCell .cm-content").last.click()
        page.keyboard.press("Control+End")
    shoot(page, "completion")
    what = offered.locator(".jp-Completer-typeExtended")
    expect(what).to_contain_text("heights\u2011of\u2011alps", ignore_case=True)
