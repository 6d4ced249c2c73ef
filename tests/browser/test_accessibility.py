"""Panels by axe-core: names, roles and contrasts, in the light and the dark theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

SCRIPT = """
import os, sys, time
print("\\x1b[32mgreen\\x1b[0m")
print("an error", file=sys.stderr, flush=True)
os.makedirs("/results/folder")
open("/results/folder/table.csv", "w").write("a,b\\n1,2\\n")
time.sleep(3)
"""


def complaints(page: Page, panel: str) -> list[str]:
    """Return what axe-core finds wrong in a panel."""
    # It would fetch the sheets that ours import, and look for them beside the page.
    options = {"resultTypes": ["violations"], "preload": False}
    found: dict[str, Any] = Axe().run(page, {"include": [[panel]]}, options).response
    return [
        f"{each['id']}: {each['help']}: {node['html']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_panels_have_names_roles_and_contrast(
    lab: Lab, open_page: Callable[..., Page], theme: str
) -> None:
    (lab.data / "small").mkdir(exist_ok=True)
    (lab.data / "small" / "notes.txt").write_text("some notes")
    job_id = lab.submit(SCRIPT, name="accessible")
    lab.submit("raise SystemExit(1)", name="failing")
    page = open_page()
    page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
    light = str(theme == "JupyterLab Light").lower()
    page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    row = page.locator(f'[data-job="{job_id}"]')
    expect(row).to_have_attribute("data-state", "completed")
    grid = page.get_by_role("grid", name="Jobs")
    grid.press("ArrowDown")
    # The rows are drawn in the next frame; what is scrolled has to have something to focus.
    expect(grid.locator("button[tabindex='0']").first).to_be_attached()
    wrong = complaints(page, ".nds-jobs")
    row.click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text("an error")
    for tab, there in (
        ("Log", panel.get_by_role("log")),
        ("Metrics", panel.get_by_role("img", name="CPU over time")),
        ("Diff", panel.get_by_role("treeitem").first),
        ("Results", panel.get_by_role("treeitem").first),
        ("Info", panel.locator(".nds-script")),
    ):
        panel.get_by_role("tab", name=tab).click()
        expect(there).to_be_visible()
        if tab in {"Diff", "Results"}:
            panel.get_by_role("tree").locator("visible=true").press("ArrowDown")
        wrong += complaints(page, ".nds-job")
    page.evaluate("void jupyterapp.commands.execute('nds:new-job')")
    page.get_by_text("More: command").click()
    wrong += complaints(page, ".nds-submit")
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-data')")
    data = page.get_by_role("region", name="NDS data")
    data.get_by_role("button", name="small", exact=True).click()
    data.get_by_role("button", name="notes.txt").click()
    expect(data.get_by_role("region", name="Metadata").get_by_role("status")).to_have_text("none")
    data.get_by_role("button", name="Preview").click()
    expect(data.get_by_text("some notes")).to_be_visible()
    wrong += complaints(page, ".nds-data")
    data.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    wrong += complaints(page, ".nds-dialog")
    assert not wrong, "\n".join(wrong)
