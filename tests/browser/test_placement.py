"""A node of a real Swarm is chosen in the form, and seen in the table and the panel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Locator, Page, expect

from dev.images import SHELL_IMAGE
from dev.swarm import Swarm
from tests.browser.lab import Lab, running_lab, widen_sidebar
from tests.swarm.conftest import change_node

pytestmark = [pytest.mark.browser, pytest.mark.swarm]


@pytest.fixture
def lab(clean_swarm: Swarm, tmp_path: Path) -> Iterator[Lab]:
    """Give a JupyterLab whose jobs run on three nodes; the second one is labelled."""
    manager = docker.APIClient(clean_swarm.manager.endpoint.url, timeout=20)
    change_node(manager, "node2", Labels={"instrument": "yes"})
    arguments = [
        "--NdsApp.engine=swarm",
        *(f"--NdsApp.endpoints={url}" for url in clean_swarm.endpoints),
    ]
    try:
        with running_lab(
            clean_swarm.manager.endpoint, tmp_path, image=SHELL_IMAGE, arguments=arguments
        ) as made:
            yield made
    finally:
        change_node(manager, "node2", Labels={})
        manager.close()


def submitted(page: Page, name: str, script: str, constraint: str) -> Locator:
    """Submit a job by the form, and return the panel that then opens."""
    page.evaluate("void jupyterapp.commands.execute('nds:new-job')")
    form = page.get_by_role("region", name="New job")
    form.get_by_label("Script", exact=True).fill(script)
    form.get_by_label("File name of the script").fill("job.sh")
    form.get_by_label("Name", exact=True).fill(name)
    form.get_by_label("CPUs").fill("0.1")
    form.get_by_label("Memory").fill("32m")
    form.get_by_text("More: command").click()
    form.get_by_label("Node, on a Swarm").fill(constraint)
    form.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    return page.get_by_role("region", name="NDS job", exact=True).filter(
        has=page.get_by_role("heading", name=name, exact=True)
    )


def test_node_is_chosen_and_a_choice_that_no_node_meets_is_told(
    lab: Lab, open_page: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page(width=1600)
    page.get_by_role("tab", name="NDS Jobs").click()
    widen_sidebar(page)
    panel = submitted(page, "at the instrument", "hostname", "node.labels.instrument==yes")
    expect(panel.get_by_role("log")).to_contain_text(re.compile("[0-9a-f]{12}"))
    expect(panel.get_by_role("status").first).to_contain_text("node2")
    (job,) = lab.jobs()
    row = page.get_by_role("grid", name="Jobs").locator(f'[data-job="{job["job_id"]}"]')
    column = row.locator(".nds-col-worker")
    expect(column).to_be_visible()
    expect(column).to_have_text("node2")
    panel.get_by_role("tab", name="Info").click()
    worker = panel.locator(".nds-facts").get_by_text("Worker", exact=True)
    expect(worker.locator("xpath=following-sibling::*[1]")).to_have_text("node2")
    shoot(page, "placed")

    panel = submitted(page, "nowhere", "hostname", "node.labels.instrument==no")
    why = "no suitable node (scheduling constraints not satisfied on 3 nodes)"
    expect(panel.get_by_role("status").first).to_contain_text(f"Waiting for a node: {why}")
    nothing = panel.locator(".nds-log-nothing")
    expect(nothing).to_be_visible()
    expect(nothing).to_contain_text(why)
    expect(page.get_by_role("grid", name="Jobs")).to_contain_text(why)
    shoot(page, "unplaced")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_role("status").first).to_contain_text("stopped on request")
    ended = {each["name"]: each for each in lab.jobs()}["nowhere"]
    assert (ended["state"], ended["reason"], ended["started"]) == ("FAILED", "stopped", None)
