"""The sidebar of JupyterLab, without a kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]


def test_sidebar_lists_a_job_that_a_program_submitted(
    lab: Lab, open_page: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page()
    page.get_by_role("tab", name="NDS Jobs").click()
    jobs = page.get_by_role("region", name="NDS jobs")
    expect(jobs).to_be_visible()
    job_id = lab.submit("print('hello')", name="first")
    row = jobs.locator(f'[data-job="{job_id}"]')
    expect(row).to_contain_text("first")
    expect(row).to_have_attribute("data-state", "completed")
    row.click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("heading", name="first")).to_be_visible()
    shoot(page, "sidebar")
