"""What goes on while pages are reloaded, themes change and the server is restarted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, started

pytestmark = [pytest.mark.browser, pytest.mark.engine]

COUNTING = """
import time
for n in range(3000):
    print("line", n, flush=True)
    time.sleep(0.1)
"""


DARK = "jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"


def opened(page: Page, job_id: str) -> Locator:
    # Not by its tab: a click on the tab of a sidebar that is open closes it.
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    page.locator(f'[data-job="{job_id}"]').click()
    return page.get_by_role("region", name="NDS job", exact=True)


def dismiss_complaints(page: Page) -> None:
    """Close JupyterLab's own dialog about a server that is away, whenever it comes up."""
    complaint = page.get_by_role("dialog", name="Server Connection Error")
    page.add_locator_handler(
        complaint, lambda shown: shown.get_by_role("button").last.click(), no_wait_after=True
    )


def last_line(panel: Locator) -> Locator:
    return panel.get_by_role("log").locator(".nds-log-row").last


def grows(panel: Locator) -> None:
    last = last_line(panel)
    expect(last).to_contain_text("line")
    seen = last.inner_text()
    expect(last).not_to_have_text(seen)


def test_log_goes_on_over_reload_second_tab_and_restart(
    lab: Lab, open_page: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    job_id = lab.submit(COUNTING, name="counting")
    page = open_page()
    panel = opened(page, job_id)
    grows(panel)

    page.evaluate(
        "jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    grows(panel)
    background = "getComputedStyle(document.querySelector('.nds-log-rows')).backgroundColor"
    page.wait_for_function(f"{background} !== 'rgb(255, 255, 255)'")
    shoot(page, "dark")

    page.reload()
    started(page)
    panel = opened(page, job_id)
    expect(panel.get_by_role("log")).to_contain_text("line")
    grows(panel)

    other = open_page()
    other_panel = opened(other, job_id)
    grows(other_panel)

    for each in (page, other):
        dismiss_complaints(each)
    lab.restart()
    # Nothing is lost and nothing comes twice: the lines are numbered without a gap.
    for each in (panel, other_panel):
        grows(each)
        lines = each.get_by_role("log").locator(".nds-log-text").all_inner_texts()
        numbers = sorted(int(line.rpartition(" ")[2]) for line in lines if line.startswith("line"))
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    panel.get_by_role("button", name="Stop").click()
    for each in (panel, other_panel):
        expect(each.get_by_text("stopped on request")).to_be_visible()


def test_end_of_a_job_out_of_view_is_told(lab: Lab, open_page: Callable[..., Page]) -> None:
    page = open_page()
    job_id = lab.submit("print(1)\nraise SystemExit(3)", name="unwatched")
    expect(page.locator(".Toastify").get_by_text("unwatched: the script ended")).to_be_visible()
    page.locator(".Toastify").get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="unwatched")).to_be_visible()
    expect(page.locator(".Toastify").get_by_text("unwatched")).to_have_count(0)
    assert lab.job(job_id)["exit_code"] == 3
