"""The panel of one job, tab by tab, of a job whose every text tries to be markup."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

HOSTILE = "<img src=x onerror=window.hacked=1>"
SCRIPT = f"""
import base64, json, os, sys, time
print("\\x1b[32mgreen\\x1b[0m and {HOSTILE}")
print("told apart", file=sys.stderr)
os.makedirs("/results/plots/deep", exist_ok=True)
with open("/results/table.csv", "w") as table:
    table.write('name,value\\n"a, b",1\\n{HOSTILE},2\\n')
with open("/results/plots/deep/{HOSTILE}.txt", "w") as hostile:
    hostile.write("behind a hostile name")
with open("/results/pixel.png", "wb") as pixel:
    pixel.write(base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
        "gg=="
    ))
with open("/results/steps.ipynb", "w") as notebook:
    cells = [dict(cell_type="markdown", source=["# Heading {HOSTILE}"])]
    cells.append(dict(cell_type="code", source="1 + 1"))
    json.dump(dict(cells=cells), notebook)
with open("/etc/issue", "a") as issue:
    issue.write("changed")
os.remove("/etc/debian_version")
ballast = bytearray(200_000_000)
n = 0
while not os.path.exists("/tmp/enough"):
    n += 1
    print("line", n, flush=True)
    sum(range(300_000))
    time.sleep(0.05)
    if n == 100:
        break
print("x" * 10_000_000)
print("the end")
"""


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.get_by_role("tab", name="NDS Jobs").click()
    return page


def opened(page: Page, job_id: str) -> Locator:
    page.locator(f'[data-job="{job_id}"]').click()
    panel = page.get_by_role("region", name="NDS job", exact=True)
    expect(panel).to_be_visible()
    return panel


def send_to_data(page: Page, panel: Locator, collection: str) -> None:
    panel.get_by_role("button", name="Send to data").locator("visible=true").click()
    question = page.get_by_role("dialog", name="Send to the data root")
    question.get_by_role("textbox").fill(collection)
    question.get_by_role("button", name="Send").click()


def test_hostile_texts_stay_text_in_every_tab(
    lab: Lab, page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    job_id = lab.submit(SCRIPT, name=HOSTILE)
    panel = opened(page, job_id)
    expect(panel.get_by_role("heading", name=HOSTILE)).to_be_visible()
    log = panel.get_by_role("log")
    expect(log).to_contain_text("line 5")
    expect(log.locator(".nds-fg-2")).to_have_text("green")
    expect(log).to_contain_text(f"green and {HOSTILE}")
    expect(log.locator(".nds-stderr")).to_have_text("told apart")
    shoot(page, "log-live")

    panel.get_by_role("tab", name="Metrics").click()
    charts = {
        title: panel.get_by_role("img", name=f"{title} over time")
        for title in ("CPU", "Memory", "Network", "Disk")
    }
    for chart in charts.values():
        expect(chart.locator("path").first).to_have_attribute("d", re.compile("L"))
    memory = panel.locator("figure", has=page.get_by_role("img", name="Memory over time"))
    expect(memory).to_contain_text(re.compile(r"\d+ MiB · limit 2 GiB"))
    shoot(page, "metrics")

    panel.get_by_role("tab", name="Log").click()
    expect(log).to_contain_text("the end")
    expect(panel.get_by_role("status").filter(has_text="completed")).to_be_visible()

    # What was measured is there also after the end.
    panel.get_by_role("tab", name="Metrics").click()
    expect(charts["Memory"]).to_have_attribute("aria-label", re.compile(r"most [12]\d\d MiB"))

    panel.get_by_role("tab", name="Diff").click()
    tree = panel.get_by_role("tree", name="Changed files")
    tree.get_by_text("plots").click()
    tree.get_by_text("deep").click()
    expect(tree).to_contain_text(f"{HOSTILE}.txt")
    hostile = tree.get_by_role("treeitem").filter(has_text=f"{HOSTILE}.txt")
    expect(hostile).to_contain_text("21 B")
    for name, kind in (("issue", "modified"), ("debian_version", "deleted"), (HOSTILE, "added")):
        row = tree.get_by_role("treeitem").filter(has_text=name)
        expect(row).to_have_attribute("data-mark", kind)
    tree.get_by_role("checkbox", name="Select deep").check()
    shoot(page, "diff")
    with page.expect_download() as downloaded:
        panel.get_by_role("button", name="Download selected").click()
    with zipfile.ZipFile(downloaded.value.path()) as archive:
        inside = f"results/plots/deep/{HOSTILE}.txt"
        assert archive.read(inside) == b"behind a hostile name"
    send_to_data(page, panel, "/sent")
    told = panel.get_by_role("status")
    expect(told.filter(has_text="1 file (21 B) sent to /sent")).to_be_visible()
    sent = lab.data / "sent" / "deep" / f"{HOSTILE}.txt"
    assert sent.read_text() == "behind a hostile name"

    panel.get_by_role("tab", name="Results").click()
    results = panel.get_by_role("tree", name="Results")
    results.get_by_text("table.csv").click()
    preview = panel.get_by_role("region", name="Preview")
    expect(preview.get_by_role("cell", name="a, b")).to_be_visible()
    expect(preview.get_by_role("cell", name=HOSTILE)).to_be_visible()
    shoot(page, "results")
    results.get_by_text("pixel.png").click()
    image = preview.get_by_role("img", name="pixel.png")
    expect(image).to_have_js_property("naturalWidth", 1)
    with page.expect_download() as downloaded:
        preview.get_by_role("button", name="Download pixel.png").click()
    assert downloaded.value.path().read_bytes().startswith(b"\x89PNG")

    results.get_by_text("steps.ipynb").click()
    expect(preview.get_by_text("A notebook of 2 cells.")).to_be_visible()
    expect(preview.get_by_role("listitem")).to_have_text(f"Heading {HOSTILE}")
    results.get_by_text("plots").click()
    results.get_by_text("deep").click()
    results.get_by_text(f"{HOSTILE}.txt").click()
    expect(preview.get_by_text("behind a hostile name")).to_be_visible()
    with page.expect_download() as downloaded:
        panel.get_by_role("button", name="Download all").click()
    with zipfile.ZipFile(downloaded.value.path()) as archive:
        assert {"results/table.csv", f"results/plots/deep/{HOSTILE}.txt"} <= set(archive.namelist())

    # What is there already stays until the answer to a question.
    sent.write_text("kept")
    results.get_by_role("checkbox", name="Select deep").check()
    results.get_by_role("checkbox", name="Select table.csv").check()
    for answer, outcome, content in (
        ("Cancel", "nothing sent to /sent", "kept"),
        ("Replace", "2 files (79 B) sent to /sent", "behind a hostile name"),
    ):
        send_to_data(page, panel, "/sent")
        question = page.get_by_role("dialog", name="Replace it?")
        expect(question).to_contain_text("exists in the data root")
        question.get_by_role("button", name=answer).click()
        expect(told.filter(has_text=outcome)).to_be_visible()
        assert sent.read_text() == content
    assert (lab.data / "sent" / "table.csv").read_text().startswith("name,value")

    panel.get_by_role("tab", name="Info").click()
    expect(panel.locator(".nds-script")).to_contain_text("told apart")
    expect(panel.locator(".nds-facts")).to_contain_text("completed")
    shoot(page, "info")
    assert page.evaluate("window.hacked") is None


def test_log_is_searched_wrapped_and_followed(lab: Lab, page: Page) -> None:
    script = "for n in range(30_000): print('number', n)\nprint('y' * 10_000_000)"
    panel = opened(page, lab.submit(script, name="long log"))
    log = panel.get_by_role("log")
    expect(panel.get_by_text("30,001 lines")).to_be_visible()
    expect(log).to_contain_text("more characters")
    follow = panel.get_by_role("button", name="Follow the end")
    expect(follow).to_have_attribute("aria-pressed", "true")

    search = panel.get_by_role("searchbox", name="Search in the log")
    search.fill("number 1234")
    expect(panel.locator(".nds-log-found")).to_have_text("11")
    search.press("Enter")
    expect(panel.locator(".nds-log-found")).to_have_text("1 of 11")
    expect(log.locator(".nds-current mark")).to_have_text("number 1234")
    expect(follow).to_have_attribute("aria-pressed", "false")
    search.fill("")
    # Only what is in view is in the page.
    assert log.locator(".nds-log-row").count() < 200

    # Followed again from where the end is scrolled to, and no more from where it is left.
    log.hover()
    page.mouse.wheel(0, 10_000_000)
    expect(follow).to_have_attribute("aria-pressed", "true")
    page.mouse.wheel(0, -2000)
    expect(follow).to_have_attribute("aria-pressed", "false")

    panel.get_by_role("button", name="Show times").click()
    expect(log.locator(".nds-log-row").last).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    panel.get_by_role("button", name="Show times").click()

    panel.get_by_role("button", name="Wrap long lines").click()
    follow.click()
    expect(log.locator(".nds-log-text").last).to_have_text(re.compile("^y+$"))
    assert log.evaluate("log => log.scrollWidth <= log.clientWidth + 1")
    with page.expect_download() as downloaded:
        panel.get_by_role("button", name="Download the log").click()
    assert downloaded.value.path().stat().st_size > 10_000_000


def test_log_without_lines_says_why(
    lab: Lab, page: Page, shoot: Callable[[Page, str], Path]
) -> None:
    panel = opened(page, lab.submit("pass", image_name="127.0.0.1:1/no", image_tag="such"))
    nothing = panel.locator(".nds-log-nothing")
    expect(nothing).to_contain_text("The image 127.0.0.1:1/no:such can't be pulled")
    # Playwright calls visible what something else covers.
    topmost = """element => {
        element.style.pointerEvents = "auto";
        const { x, y } = element.getBoundingClientRect();
        return document.elementFromPoint(x + 5, y + 5) === element;
    }"""
    assert nothing.evaluate(topmost)
    shoot(page, "never-started")
    expect(opened(page, lab.submit("pass")).locator(".nds-log-nothing")).to_have_text(
        "The script wrote nothing."
    )
    panel = opened(page, lab.submit("print('one')"))
    expect(panel.get_by_text("1 line", exact=True)).to_be_visible()
    expect(panel.locator(".nds-log-nothing")).to_have_text("")


def test_job_is_stopped_run_again_and_deleted_from_its_panel(lab: Lab, page: Page) -> None:
    job_id = lab.submit("import time\nprint('begun', flush=True)\ntime.sleep(600)", name="long")
    panel = opened(page, job_id)
    expect(panel.get_by_role("log")).to_contain_text("begun")
    panel.get_by_role("tab", name="Metrics").click()
    line = panel.get_by_role("img", name="Memory over time").locator("path").first
    expect(line).to_have_attribute("d", re.compile("L"))
    # Drawn on as it is measured.
    expect(line).not_to_have_attribute("d", line.get_attribute("d") or "")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("stopped on request")).to_be_visible()
    assert lab.job(job_id)["reason"] == "stopped"
    panel.get_by_role("button", name="Run again").click()
    again = page.locator('[data-job][data-state="running"]', has_text="long")
    expect(again).to_have_count(1)
    lab.server.ask("POST", f"nds/stop?job_id={again.get_attribute('data-job')}", timeout=60)
    panel.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete job long?")
    question.get_by_role("button", name="Delete").click()
    expect(page.locator(f'[data-job="{job_id}"]')).to_have_count(0)
    expect(panel.get_by_text("deleted", exact=True)).to_be_visible()


ENDS = [
    ("x = bytearray(200 * 2**20)", {"memory": "32m"}, "killed: out of memory at 32 MiB"),
    ("1", {"image_name": "127.0.0.1:1/no/such", "image_tag": "image"}, "no/such:image"),
    ("import time; time.sleep(600)", {"timeout": 1}, "stopped after its time limit of 1.0 s"),
    ("raise SystemExit(7)", {}, "the script ended with exit code 7"),
    ("1", {"data": ["/not-there"]}, "/not-there"),
]


def test_info_says_in_words_how_a_job_ended(lab: Lab, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    jobs = [lab.submit(script, **fields) for script, fields, _ in ENDS]
    for job_id, (script, _, words) in zip(jobs, ENDS, strict=True):
        page.locator(f'[data-job="{job_id}"]').click()
        panel = page.get_by_role("region", name="NDS job", exact=True).locator("visible=true")
        panel.get_by_role("tab", name="Info").click()
        expect(panel.locator(".nds-facts")).to_contain_text(words)
        expect(panel.locator(".nds-facts")).to_contain_text(job_id)
        panel.get_by_role("button", name="Copy script").click()
        assert page.evaluate("navigator.clipboard.readText()") == script
