"""The form: what a magic can do, a click can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dev.images import SHELL_IMAGE
from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]


def test_job_is_submitted_with_limits_and_variables(
    lab: Lab, open_page: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    page = open_page()
    page.get_by_role("tab", name="NDS Jobs").click()
    page.get_by_role("button", name="New job").click()
    form = page.get_by_role("region", name="New job")
    expect(form.locator(f'datalist option[value="{SHELL_IMAGE}"]')).to_have_count(1)
    form.get_by_label("Script", exact=True).fill("echo $GREETING")
    form.get_by_label("Image").fill(SHELL_IMAGE)
    form.get_by_label("File name of the script").fill("job.sh")
    form.get_by_label("Name", exact=True).fill("from-the-form")
    form.get_by_label("CPUs").fill("0.5")
    form.get_by_label("Memory").fill("not a size")
    form.get_by_label("Variables").fill("GREETING=hello from the form")
    shoot(page, "submit")
    form.get_by_role("button", name="Run").click()
    expect(form.get_by_role("alert")).to_contain_text("memory")
    form.get_by_label("Memory").fill("64m")
    form.get_by_role("button", name="Run").click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text("hello from the form")
    (job,) = [each for each in lab.jobs() if each["name"] == "from-the-form"]
    assert (job["limits"]["cpus"], job["limits"]["memory"]) == (0.5, 64 * 2**20)


def test_script_comes_from_a_file(open_page: Callable[..., Page], tmp_path: Path) -> None:
    script = tmp_path / "estimate.py"
    script.write_text("print('from a file')")
    page = open_page()
    page.evaluate("jupyterapp.commands.execute('nds:new-job')")
    form = page.get_by_role("region", name="New job")
    form.get_by_label("or a file").set_input_files(script)
    expect(form.get_by_label("File name of the script")).to_have_value("estimate.py")
    form.get_by_role("button", name="Run").click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text("from a file")
