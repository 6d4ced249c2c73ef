"""The table of jobs: what it shows, sorts and filters, and what is done from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from dev.images import PYTHON_IMAGE, SHELL_IMAGE
from tests.browser.lab import Lab, widen_sidebar

pytestmark = [pytest.mark.browser, pytest.mark.engine]

BUSY = "import time\nprint('busy', flush=True)\nwhile True: sum(range(200_000)); time.sleep(0.01)"


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    return page


@pytest.fixture
def table(page: Page) -> Locator:
    return page.get_by_role("region", name="NDS jobs").get_by_role("grid", name="Jobs")


def test_table_is_filtered_and_used_by_keys(lab: Lab, page: Page, table: Locator) -> None:
    wanted = lab.submit("print(1)", name="needle")
    lab.submit("raise SystemExit(3)", name="broken")
    expect(table.locator(f'[data-job="{wanted}"]')).to_have_attribute("data-state", "completed")
    expect(table.locator('[data-state="failed"]').first).to_contain_text("exit code 3")
    page.get_by_role("searchbox", name="Filter jobs").fill("needle")
    expect(table.locator("[data-job]")).to_have_count(1)
    table.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="needle")).to_be_visible()
    page.get_by_role("searchbox", name="Filter jobs").fill("")
    page.get_by_role("combobox", name="Filter jobs by state").select_option("failed")
    expect(table.locator(f'[data-job="{wanted}"]')).to_have_count(0)
    expect(table.locator('[data-state="failed"]').first).to_be_visible()


def test_table_is_sorted_by_its_heads(lab: Lab, page: Page, table: Locator) -> None:
    widen_sidebar(page)
    for name, image in (("sort-b", SHELL_IMAGE), ("sort-c", PYTHON_IMAGE), ("sort-a", SHELL_IMAGE)):
        scriptname = "a.sh" if image == SHELL_IMAGE else "a.py"
        lab.submit("#", name=name, image_name=image, scriptname=scriptname)
    page.get_by_role("searchbox", name="Filter jobs").fill("sort-")
    expect(table.locator('[data-state="completed"]')).to_have_count(3)
    newest_first = ["sort-a", "sort-c", "sort-b"]
    for head, clicks, order in (
        ("Age", 0, newest_first),
        ("Name", 1, ["sort-a", "sort-b", "sort-c"]),
        ("Name", 1, ["sort-c", "sort-b", "sort-a"]),
        ("Image", 1, ["sort-c", "sort-a", "sort-b"]),
        ("Age", 1, newest_first),
    ):
        column = page.get_by_role("columnheader", name=re.compile(f"^{head}"))
        for _ in range(clicks):
            column.get_by_role("button").click()
        expect(column).to_have_attribute("aria-sort", re.compile("ascending|descending"))
        for index, name in enumerate(order):
            row = table.locator(f'[data-job][aria-rowindex="{index + 2}"]')
            expect(row).to_contain_text(name)


def test_strip_counts_jobs_and_what_they_use(
    lab: Lab, page: Page, table: Locator, shoot: Callable[[Page, str], Path]
) -> None:
    lab.clear()
    # Four may run at once.
    jobs = [lab.submit(BUSY, name=f"strip-{number}", cpus=0.2) for number in range(6)]
    strip = page.get_by_role("status", name="All jobs")
    expect(strip).to_contain_text("4 running")
    expect(strip).to_contain_text("2 queued")
    expect(strip.get_by_role("meter", name="CPU")).not_to_have_js_property("value", 0)
    expect(strip).to_contain_text(re.compile(r"Memory \d+ [KM]iB of"))
    page.get_by_role("combobox", name="Filter jobs by state").select_option("queued")
    expect(table.locator("[data-job]")).to_have_count(2)
    shoot(page, "queued")
    page.get_by_role("combobox", name="Filter jobs by state").select_option("")
    row = table.locator(f'[data-job="{jobs[0]}"]')
    expect(row).to_have_attribute("data-state", "running")
    row.hover()
    row.get_by_role("button", name="Stop").click()
    expect(row).to_have_attribute("data-state", "stopped")
    for job_id in jobs:
        lab.server.ask("DELETE", f"nds/jobs/{job_id}", timeout=60)
    expect(strip).to_contain_text("0 running")
    expect(table.locator("[data-job]", has_text="strip-")).to_have_count(0)


def test_job_is_run_again_and_its_id_copied_by_keys(lab: Lab, page: Page, table: Locator) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    job_id = lab.submit("print('once more')", name="again")
    page.get_by_role("searchbox", name="Filter jobs").fill("again")
    expect(table.locator('[data-state="completed"]')).to_have_count(1)
    table.focus()
    page.keyboard.press("Home")
    page.keyboard.press("c")
    expect(page.get_by_text(f"Copied {job_id}.").first).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == job_id
    table.focus()
    page.keyboard.press("r")
    expect(table.locator('[data-state="completed"]')).to_have_count(2)
    page.keyboard.press("Delete")
    question = page.get_by_role("dialog", name="Delete job again?")
    question.get_by_role("button", name="Cancel").click()
    expect(table.locator("[data-job]")).to_have_count(2)
    table.focus()
    page.keyboard.press("Delete")
    question.get_by_role("button", name="Delete").click()
    expect(table.locator("[data-job]")).to_have_count(1)


def test_row_says_more_to_who_points_at_it_or_comes_by_keys(
    lab: Lab, page: Page, table: Locator
) -> None:
    jobs = [lab.submit("raise SystemExit(4)", name=f"pointed-{number}") for number in range(2)]
    page.get_by_role("searchbox", name="Filter jobs").fill("pointed-")
    expect(table.locator('[data-state="failed"]')).to_have_count(2)
    for job_id, come in zip(
        jobs, (lambda row: row.hover(), lambda _: page.keyboard.press("Home")), strict=True
    ):
        table.focus()
        row = table.locator(f'[data-job="{job_id}"]')
        come(row)
        expect(row).to_have_attribute("title", re.compile(rf"\({job_id}\)[^$]+exit code 4"))
        expect(row.locator(".nds-col-age")).to_have_attribute("title", re.compile(r":\d\d"))


def test_progress_is_shown_while_data_is_brought(lab: Lab, page: Page, table: Locator) -> None:
    large = lab.data / "large.bin"
    with large.open("wb") as file:
        file.truncate(600 * 2**20)
    seen = """(name) => {
      window.seenProgress = [];
      const look = () => {
        for (const row of document.querySelectorAll("[data-job]")) {
          const bar = row.querySelector("progress");
          if (!row.textContent.includes(name) || bar.hidden) continue;
          window.seenProgress.push(bar.value);
        }
        requestAnimationFrame(look);
      };
      look();
    }"""
    page.evaluate(seen, "with-data")
    job_id = lab.submit("print(1)", name="with-data", data=["/large.bin"])
    expect(table.locator(f'[data-job="{job_id}"]')).to_have_attribute("data-state", "completed")
    shown = page.evaluate("window.seenProgress")
    assert any(0 < value < 1 for value in shown), shown[:20]
    large.unlink()
