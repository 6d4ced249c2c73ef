"""The form: what a magic can do, a click can."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from dev.images import PIP_IMAGE, SHELL_IMAGE
from tests.browser.lab import Lab
from tests.package_index import MODULE, PACKAGE, PackageIndex

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
    expect(form.get_by_role("alert")).to_have_text("Nothing was submitted. To be changed: Memory.")
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
    page.evaluate("void jupyterapp.commands.execute('nds:new-job')")
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
    page.evaluate("void jupyterapp.commands.execute('nds:new-job')")
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
    sweep = form.get_by_label("Sweep: a job for each")
    expect(sweep).to_have_accessible_description("sweep: 'no equals sign' is not NAME=VALUE.")
    sweep.fill("")
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
    page.evaluate("void jupyterapp.commands.execute('nds:new-job')")
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
    # A row for each point, named after it, and found by it.
    names = page.locator(".nds-jobs .nds-job-name")
    shown = sorted(names.all_inner_texts())
    assert shown == [f"swept lr={lr} seed={seed}" for lr in ("0.1", "big") for seed in (1, 3, 5)]
    page.get_by_role("searchbox", name="Filter jobs").fill("LR=big")
    expect(names).to_have_count(3)
    page.get_by_role("searchbox", name="Filter jobs").fill("swept lr=0.1 seed=3")
    expect(names).to_have_text("swept lr=0.1 seed=3")
    page.locator(".nds-jobs [data-job]").click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text('/nds/points.sh {"lr":0.1,"seed":3}')
    jobs = [job for job in lab.jobs() if job["name"].startswith("swept")]
    points = {json.dumps(job["sweep"]["values"], sort_keys=True) for job in jobs}
    expected = [{"lr": lr, "seed": seed} for lr in (0.1, "big") for seed in (1, 3, 5)]
    assert points == {json.dumps(each) for each in expected}


def asked_for(lab: Lab, name: str) -> dict[str, Any]:
    """Return what the job of a name was asked for, as the server keeps it."""
    (job,) = [each for each in lab.jobs() if each["name"] == name]
    return dict(lab.server.ask("GET", f"nds/jobs/{job['job_id']}"))


def test_form_builds_what_requirements_name(
    lab: Lab, form: Locator, package_index: PackageIndex
) -> None:
    # No other test asks for the same, whose image would be there already.
    requirements = package_index.requirements(f"{PACKAGE}<2")
    form.get_by_label("Script", exact=True).fill(f"import {MODULE}; print({MODULE}.GREETING)")
    form.get_by_label("Image").fill(PIP_IMAGE)
    form.get_by_label("Name", exact=True).fill("with-requirements")
    form.get_by_label("Requirements for pip").fill(requirements)
    form.get_by_role("button", name="Run").click()
    panel = form.page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text(package_index.greeting)
    expect(panel.get_by_text("completed").first).to_be_visible()
    spec = asked_for(lab, "with-requirements")
    assert spec["requirements"] == requirements
    assert "dockerfile" not in spec


def test_form_builds_a_dockerfile(lab: Lab, form: Locator, package_index: PackageIndex) -> None:
    recipe = f"# By the form\nFROM {PIP_IMAGE}\nRUN echo {package_index.greeting} > /made\n"
    form.get_by_label("Script", exact=True).fill("print('made:', open('/made').read())")
    form.get_by_label("Name", exact=True).fill("with-dockerfile")
    form.get_by_label("Dockerfile").fill(recipe)
    form.get_by_role("button", name="Run").click()
    panel = form.page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text(f"made: {package_index.greeting}")
    assert asked_for(lab, "with-dockerfile")["dockerfile"] == recipe


def test_every_limit_of_the_form_is_the_jobs(lab: Lab, form: Locator) -> None:
    form.get_by_label("Script", exact=True).fill("cat /sys/class/net/*/operstate; sleep 600")
    form.get_by_label("Image").fill(SHELL_IMAGE)
    form.get_by_label("File name of the script").fill("limited.sh")
    form.get_by_label("Name", exact=True).fill("limited")
    form.get_by_label("CPUs").fill("0.25")
    form.get_by_label("Memory").fill("48m")
    form.get_by_label("Time limit in seconds").fill("3")
    form.get_by_label("Runs again if its node is lost").fill("2")
    form.get_by_label("Network").select_option("none")
    form.get_by_role("button", name="Run").click()
    panel = form.page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_text("stopped after its time limit of 3.0 s").first).to_be_visible()
    spec = asked_for(lab, "limited")
    limits = {name: spec[name] for name in ("cpus", "memory", "timeout", "retries", "network")}
    assert limits == {
        "cpus": 0.25,
        "memory": 48 * 2**20,
        "timeout": 3.0,
        "retries": 2,
        "network": "none",
    }


def test_node_and_gpus_are_asked_for_as_they_stand_in_the_form(lab: Lab, form: Locator) -> None:
    constraints = ["node.labels.gpu==true", "node.hostname!=old"]
    form.get_by_label("Script", exact=True).fill("true")
    form.get_by_label("Image").fill(SHELL_IMAGE)
    form.get_by_label("File name of the script").fill("placed.sh")
    form.get_by_label("Name", exact=True).fill("placed")
    form.get_by_label("Node, on a Swarm").fill("\n".join(constraints))
    form.get_by_label("GPUs").fill("3")
    run = form.get_by_role("button", name="Run")
    with form.page.expect_request("**/nds/upload") as sent:
        run.click()
    body = sent.value.post_data_json
    assert (body["constraint"], body["gpus"]) == (constraints, 3)
    gpus = form.get_by_label("GPUs")
    expect(gpus).to_have_accessible_description("gpus: 3 are more than the 2 allowed here.")
    gpus.fill("2")
    run.click()
    # One engine has no node to choose.
    panel = form.page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_text("No node to choose").first).to_be_visible()
    spec = asked_for(lab, "placed")
    assert (spec["constraint"], spec["gpus"]) == (constraints, 2)
