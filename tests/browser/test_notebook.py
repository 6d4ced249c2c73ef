"""Panels in a notebook: they work while the kernel sleeps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.conftest import Watch
from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

JOB = """%%ndsjob --detach --name from-a-magic
import time
n = 0
while True:
    n += 1
    print("line", n, flush=True)
    time.sleep(0.1)
"""
ASLEEP = "print('the kernel', 'sleeps')\nimport time; time.sleep(600)"


def test_panel_streams_and_stops_while_the_kernel_sleeps(
    lab: Lab,
    run_notebook: Callable[..., Page],
    watch: Watch,
    shoot: Callable[[Page, str], Path],
) -> None:
    (lab.data / "small").mkdir(exist_ok=True)
    page = run_notebook("asleep", "%load_ext nds_jupyter", "%ndspanel", "%ndsdata", JOB, ASLEEP)
    expect(page.locator(".jp-OutputArea-output").get_by_text("the kernel sleeps")).to_be_visible()
    panel, data = (page.locator(".jp-OutputArea-output .nds-place").nth(n) for n in (0, 1))
    row = panel.locator('[data-state="running"]', has_text="from-a-magic")
    row.click()
    log = panel.get_by_role("log")
    expect(log).to_contain_text("line 3")
    seen = log.locator(".nds-log-row").last.inner_text()
    expect(log.locator(".nds-log-row").last).not_to_have_text(seen)
    shoot(page, "notebook")
    (lab.data / "made-meanwhile").mkdir()
    data.get_by_role("button", name="Refresh").click()
    expect(data.get_by_role("button", name="made-meanwhile")).to_be_visible()
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("stopped on request")).to_be_visible()
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text("[*]:")
    (job,) = [each for each in lab.jobs() if each["name"] == "from-a-magic"]
    assert job["reason"] == "stopped"
    # However many panels there are, in cells and sidebars: one connection.
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    expect(page.locator("#nds-jobs").get_by_role("grid", name="Jobs")).to_be_visible()
    assert len(watch.event_sockets) == 1


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
