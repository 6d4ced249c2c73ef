"""Panels beside the notebook, by the package sidecar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

SCRIPT = "import time\nprint('docked log', flush=True)\ntime.sleep(600)"


def test_panels_are_docked_beside_the_notebook_and_work_there(
    lab: Lab, run_notebook: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    (lab.data / "small").mkdir(exist_ok=True)
    job_id = lab.submit(SCRIPT, name="docked")
    page = run_notebook(
        "docked",
        "%load_ext nds_jupyter",
        f"%ndspanel {job_id} --dock",
        "%ndsdata --dock",
        "print('the kernel', 'sleeps')\nimport time; time.sleep(600)",
    )
    expect(page.locator(".jp-OutputArea-output").get_by_text("the kernel sleeps")).to_be_visible()
    for title in ("NDS jobs", "NDS data"):
        expect(page.get_by_role("tab", name=title, exact=True)).to_be_visible()
    # Beside the cells, not below one.
    expect(page.locator(".jp-Notebook .nds-place")).to_have_count(0)
    data = page.get_by_role("region", name="NDS data")
    expect(data.get_by_role("button", name="small")).to_be_visible()
    page.get_by_role("tab", name="NDS jobs", exact=True).click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text("docked log")
    tall = "(panel) => panel.clientHeight / panel.closest('.lm-DockPanel-widget').clientHeight"
    assert panel.evaluate(tall) > 0.9
    shoot(page, "docked")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("stopped on request")).to_be_visible()
