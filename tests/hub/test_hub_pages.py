"""Panels of a Hub's user: they show the jobs of the service, through the user's own server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import (
    NOT_OURS,
    Watch,
    browser,
    context,
    jp_asyncio_loop,
    jp_server_cleanup,
    shoot,
    watch,
)
from tests.browser.lab import started
from tests.hub.hub_process import JOBS, Hub, start_server

__all__ = ["browser", "context", "jp_asyncio_loop", "jp_server_cleanup", "shoot", "watch"]

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.hub]

COUNTING = "n=0; while true; do n=$((n+1)); echo line $n; sleep 0.2; done"


@pytest.fixture
def page(hub: Hub, context: BrowserContext, watch: Watch) -> Iterator[Page]:
    """Give JupyterLab of a user who logs in to the Hub."""
    hub.token("ada")
    start_server(hub, "ada")
    # JupyterLab asks for what a server of a Hub does not have.
    watch.expected = re.compile(f"{NOT_OURS.pattern}|status of (403|404)(?!.*/nds/)")
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    watch.over(page)
    page.goto(f"{hub.url}/hub/login?next=/user/ada/lab")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("any")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/user/ada/lab**")
    yield started(page)
    page.close()


def test_panels_show_and_stop_the_jobs_of_the_service(
    hub: Hub, page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    ada, bob = hub.token("ada"), hub.token("bob")
    page.get_by_role("tab", name="NDS Jobs").click()
    jobs = page.get_by_role("region", name="NDS jobs")
    expect(jobs.get_by_text("No jobs yet.")).to_be_visible()
    script = {"script": COUNTING, "scriptname": "a.sh", "name": "of-the-service"}
    status, job = hub.ask("POST", f"{JOBS}/upload", ada, script)
    assert status == 201, job
    other = hub.ask("POST", f"{JOBS}/upload", bob, {**script, "name": "of-another"})[1]
    row = jobs.locator(f'[data-job="{job["job_id"]}"]')
    expect(row).to_have_attribute("data-state", "running")
    row.click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    last = panel.get_by_role("log").locator(".nds-log-row").last
    expect(last).to_contain_text("line")
    seen = last.inner_text()
    expect(last).not_to_have_text(seen)
    shoot(page, "hub")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("stopped on request")).to_be_visible()
    with page.expect_download() as downloaded:
        panel.get_by_role("button", name="Download the log").click()
    assert "line 1" in downloaded.value.path().read_text()
    expect(jobs.get_by_text("of-another")).to_have_count(0)
    hub.ask("POST", f"{JOBS}/stop?job_id={other['job_id']}", bob)

    # The event stream, not a question every two seconds.
    expect(jobs.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="New job").click()
    form = page.get_by_role("region", name="New job")
    form.get_by_label("Script", exact=True).fill("echo from the form")
    form.get_by_label("File name of the script").fill("form.sh")
    form.get_by_label("Name", exact=True).fill("by-form")
    form.get_by_role("button", name="Run").click()
    expect(jobs.locator('[data-state="completed"]', has_text="by-form")).to_be_visible()
    listed = hub.ask("GET", f"{JOBS}/jobs", ada)[1]
    assert [each["owner"] for each in listed if each["name"] == "by-form"] == ["ada"]
