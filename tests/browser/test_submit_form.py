"""The form: what a magic can do, a click can."""

from __future__ import annotations

import json
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


ECHO = """import json, os, sys
print("called with", json.dumps(sys.argv[1:]))
print("data", open("/data/picked.txt").read())
open("/results/out.txt", "w").write("kept")
raise SystemExit(3)"""


def test_form_takes_what_a_magic_takes(
    lab: Lab, open_page: Callable[..., Page], shoot: Callable[[Page, str], Path]
) -> None:
    (lab.data / "to-pick").mkdir()
    (lab.data / "to-pick" / "picked.txt").write_text("picked in the browser")
    (lab.data / "kept").mkdir()
    (lab.data / "kept" / "out.txt").write_text("older")
    page = open_page()
    page.evaluate("jupyterapp.commands.execute('nds:new-job')")
    form = page.get_by_role("region", name="New job")
    form.get_by_label("Script", exact=True).fill(ECHO)
    form.get_by_role("button", name="Pick data …").click()
    question = page.get_by_role("dialog", name="Pick data")
    question.get_by_role("button", name="to-pick").click()
    row = question.get_by_role("row").filter(has_text="picked.txt")
    row.get_by_role("gridcell").last.click()
    shoot(page, "pick")
    question.get_by_role("button", name="Pick", exact=True).click()
    data = form.get_by_label("Data, brought to /data")
    expect(data).to_have_value("/to-pick/picked.txt")
    form.get_by_label("Output", exact=True).fill("/kept")
    form.get_by_text("More: command").click()
    form.get_by_label("Arguments").fill("""one "two words" it\\'s '' """)
    form.get_by_label("Labels").fill("study=7")
    form.get_by_label("Replace what the output").check()
    form.get_by_label("Deliver the results also").check()
    form.get_by_label("Sweep: a job for each").fill("no equals sign")
    form.get_by_role("button", name="Run").click()
    expect(form.get_by_role("alert")).to_contain_text("no equals sign is not NAME=VALUE")
    form.get_by_label("Sweep: a job for each").fill("")
    shoot(page, "submit-more")
    form.get_by_role("button", name="Run").click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text(
        'called with ["one", "two words", "it\'s", ""]'
    )
    expect(panel.get_by_role("log")).to_contain_text("data picked in the browser")
    expect(panel.get_by_text("exit code 3").first).to_be_visible()
    assert (lab.data / "kept" / "out.txt").read_text() == "kept"
    panel.get_by_role("tab", name="Info").click()
    expect(panel.locator(".nds-facts")).to_contain_text("study=7")


def test_form_makes_a_sweep_and_runs_a_command(lab: Lab, open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.evaluate("jupyterapp.commands.execute('nds:new-job')")
    form = page.get_by_role("region", name="New job")
    form.get_by_label("Script", exact=True).fill("echo $0 $NDS_SWEEP")
    form.get_by_label("Image").fill(SHELL_IMAGE)
    form.get_by_label("Name", exact=True).fill("swept")
    form.get_by_text("More: command").click()
    form.get_by_label("Command").fill("sh /nds/points.sh")
    form.get_by_label("File name of the script").fill("points.sh")
    form.get_by_label("Sweep: a job for each").fill("lr=0.1,big\nseed=range(1, 6, 2)")
    form.get_by_label("Jobs of the sweep at once").fill("2")
    form.get_by_role("button", name="Run").click()
    expect(page.locator(".Toastify").get_by_text("6 jobs submitted.")).to_be_visible()
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-jobs')")
    page.get_by_role("searchbox", name="Filter jobs").fill("swept")
    expect(page.locator('[data-job][data-state="completed"]')).to_have_count(6)
    jobs = [job for job in lab.jobs() if job["name"].startswith("swept")]
    points = {json.dumps(job["sweep"]["values"], sort_keys=True) for job in jobs}
    expected = [{"lr": lr, "seed": seed} for lr in (0.1, "big") for seed in (1, 3, 5)]
    assert points == {json.dumps(each) for each in expected}
