"""What is wrong in the form for a new job is told beside the field it is in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from dev.images import SHELL_IMAGE
from tests.browser.conftest import NOT_OURS, Watch
from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]


def expect_wrong(control: Locator, sentence: str) -> None:
    """Expect that a screen reader says of a control what is wrong."""
    expect(control).to_have_accessible_description(re.compile(re.escape(sentence)))
    expect(control).to_have_attribute("aria-invalid", "true")


def expect_mended(control: Locator) -> None:
    expect(control).not_to_have_attribute("aria-invalid", "true")
    expect(control).to_have_accessible_description("")


def test_all_that_can_be_seen_at_once_is_told_at_once(
    lab: Lab, form: Locator, shoot: Callable[[Page, str], Path]
) -> None:
    mistakes = {
        "Script": ("  \n", "script: it is empty."),
        "CPUs": ("half", "cpus: half is not an amount of CPUs; give at least 0.01."),
        "Time limit in seconds": ("abc", "timeout: give a positive number of seconds."),
        "Runs again if its node is lost": ("1.5", "retries: give a number, or none."),
        "Variables": ("A=1\nGREETING", "env: 'GREETING' is not NAME=VALUE."),
        "Command": ("sh -c 'echo", "command: the ' is not closed."),
        "Arguments": ('"open', 'args: the " is not closed.'),
        "Labels": ("study", "labels: 'study' is not NAME=VALUE."),
        "GPUs": ("two", "gpus: give a number of GPUs, or none."),
        "Sweep: a job for each value": ("seed", "sweep: 'seed' is not NAME=VALUE."),
        "Jobs of the sweep at once": ("all", "max_concurrent: give at least 1."),
    }
    before = len(lab.jobs())
    for label, (value, _) in mistakes.items():
        form.get_by_label(label, exact=True).fill(value)
    # What needs no change is not touched, and what is hidden is shown.
    form.get_by_text("More: command").click()
    form.get_by_label("Name", exact=True).fill("kept")
    form.get_by_label("Name", exact=True).press("Control+Enter")
    for label, (value, sentence) in mistakes.items():
        control = form.get_by_label(label, exact=True)
        expect_wrong(control, sentence)
        expect(control).to_have_value(value)
    expect(form.get_by_label("Script", exact=True)).to_be_focused()
    expect(form.get_by_role("alert")).to_contain_text("Nothing was submitted. To be changed: Scri")
    expect(form.get_by_label("Name", exact=True)).to_have_value("kept")
    shoot(form.page, "submit-wrong")
    form.get_by_label("CPUs").fill("0.5")
    expect_mended(form.get_by_label("CPUs"))
    expect_wrong(form.get_by_label("Variables"), "env:")
    assert len(lab.jobs()) == before


def test_what_the_server_refuses_is_told_where_it_stands(
    lab: Lab, form: Locator, watch: Watch
) -> None:
    watch.expected = re.compile(f"{NOT_OURS.pattern}|status of 404")
    (lab.data / "full").mkdir()
    (lab.data / "full" / "older.txt").write_text("older")
    form.get_by_label("Script", exact=True).fill("echo it ran")
    form.get_by_label("Image").fill(SHELL_IMAGE)
    form.get_by_label("File name of the script").fill("mended.sh")
    run = form.get_by_role("button", name="Run")
    for label, value, sentence in (
        ("Memory", "2 gigs", "memory: '2 gigs' is not a size. Write it like 512m or 2g."),
        ("CPUs", "-1", "cpus: -1 is not an amount of CPUs; give at least 0.01."),
        ("CPUs", "0", "cpus: 0 is not an amount of CPUs; give at least 0.01."),
        ("Time limit in seconds", "-5", "timeout: give a positive number of seconds."),
        ("File name of the script", "a/b.sh", "scriptname: 'a/b.sh' is not a file name."),
        ("Image", "No Image!", "image_name: 'No Image!' is not the name of an image."),
        ("Data, brought to /data", "/full\n/nosuch.csv:/data/x", "There is no /nosuch.csv in the"),
        ("Data, brought to /data", "/no/such.csv", "There is no /no"),
        ("Output", "/full", "output: /full is not empty. Name another, or ask to overwrite."),
        ("Output", "/full/older.txt", "older.txt is a data object; results need a collection."),
        ("Output", "../up", "output: '../up' holds '..' or a NUL. Write the path out."),
        ("Output", "other://host/x", "output: other://host/x is not of this data root, which is"),
        ("Node, on a Swarm", "gpu = yes", "constraint: 'gpu = yes' is none. Write it like"),
        ("GPUs", "3", "gpus: 3 are more than the 2 allowed here."),
        ("Labels", "nds.x=1", "labels: 'nds.x' can't be set; nds. belongs to this server."),
        ("Jobs of the sweep at once", "2", "max_concurrent: it belongs to a sweep, and there is"),
    ):
        control = form.get_by_label(label, exact=True)
        right = control.input_value()
        control.fill(value)
        run.click()
        expect_wrong(control, sentence)
        expect(control).to_be_focused()
        expect(control).to_have_value(value)
        expect(form.get_by_role("alert")).to_have_text(
            f"Nothing was submitted. To be changed: {label}."
        )
        control.fill(right)
        expect_mended(control)
    run.click()
    panel = form.page.get_by_role("region", name="NDS job", exact=True)
    expect(panel.get_by_role("log")).to_contain_text("it ran")


def test_file_that_is_no_text_leaves_the_script_as_it_is(form: Locator, tmp_path: Path) -> None:
    binary, text = tmp_path / "program.bin", tmp_path / "text.py"
    binary.write_bytes(b"\x7fELF\x02\x00\xff\xfe")
    text.write_text("print('text')")
    script = form.get_by_label("Script", exact=True)
    script.fill("print('typed')")
    chosen = form.get_by_label("or a file")
    chosen.set_input_files(binary)
    expect_wrong(chosen, "file: program.bin is not UTF-8 text.")
    expect(script).to_have_value("print('typed')")
    chosen.set_input_files(text)
    expect_mended(chosen)
    expect(script).to_have_value("print('text')")
