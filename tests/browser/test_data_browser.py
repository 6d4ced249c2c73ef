"""The data browser, on a folder as the data root."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.engine]

HOSTILE = "<img src=x onerror=window.hacked=1>"
MANY = 20_000
SECONDS = 60


def slow_down(page: Page) -> CDPSession:
    """Give a page a slow line, so that there is time to see and cancel an upload."""
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    line.send("Network.emulateNetworkConditions", slow)
    return line


def drop(page: Page, on: Locator, *paths: Path) -> None:
    """Drop files and folders of this machine, as a user does from a file manager."""
    place = on.bounding_box()
    assert place is not None
    line = page.context.new_cdp_session(page)
    at = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
    data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    for event in ("dragEnter", "dragOver", "drop"):
        line.send("Input.dispatchDragEvent", {"type": event, **at, "data": data})


def until(page: Page, reached: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)


@pytest.fixture
def page(lab: Lab, open_page: Callable[..., Page]) -> Page:
    for name in ("small", "uploads"):
        (lab.data / name).mkdir(exist_ok=True)
    (lab.data / "small" / "notes.txt").write_text("some notes")
    (lab.data / "small" / f"{HOSTILE}.csv").write_text(f"name,value\n{HOSTILE},1\n")
    page = open_page()
    page.get_by_role("tab", name="NDS Data").click()
    return page


@pytest.fixture
def browser_panel(page: Page) -> Locator:
    panel = page.get_by_role("region", name="NDS data")
    expect(panel.get_by_role("button", name="small")).to_be_visible()
    return panel


def test_collection_of_many_entries_is_paged_searched_and_sorted(
    lab: Lab, page: Page, browser_panel: Locator
) -> None:
    big = lab.data / "big"
    big.mkdir()
    for number in range(MANY):
        (big / f"entry-{number:06d}").touch()
    (big / "zz-large").write_bytes(b"x" * 1000)
    browser_panel.get_by_role("button", name="Refresh").click()
    browser_panel.get_by_role("button", name="big").click()
    rows = browser_panel.get_by_role("grid", name="Entries")
    expect(rows).to_contain_text("entry-000000")
    # Only what is in view is in the page, and of the rest only what was scrolled to is loaded.
    assert rows.locator(".nds-row").count() < 100
    expect(browser_panel.locator(".nds-toolbar .nds-count")).to_contain_text("+")
    search = browser_panel.get_by_role("searchbox", name="Search names")
    search.fill("00777")
    expect(rows.locator(".nds-row")).to_have_count(11)
    search.fill("")
    expect(rows).to_contain_text("entry-000000")
    browser_panel.get_by_role("button", name="Size").click()
    browser_panel.get_by_role("button", name="Size").click()
    expect(rows.locator(".nds-row").first).to_contain_text("zz-large")
    expect(browser_panel.locator(".nds-toolbar .nds-count")).to_have_text(f"{MANY + 1:,} entries")


def test_files_are_uploaded_previewed_renamed_and_deleted(
    lab: Lab, page: Page, browser_panel: Locator, shoot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    browser_panel.get_by_role("button", name="uploads").click()
    expect(browser_panel.get_by_role("navigation", name="Path")).to_contain_text("uploads")
    uploaded = tmp_path / "uploaded.csv"
    uploaded.write_text("x,y\n1,2\n")
    browser_panel.get_by_label("Files to upload").set_input_files(uploaded)
    browser_panel.get_by_role("button", name="uploaded.csv", exact=True).click()
    assert (lab.data / "uploads" / "uploaded.csv").read_text() == "x,y\n1,2\n"
    details = browser_panel.get_by_role("region", name="Details of uploaded.csv")
    details.get_by_role("button", name="Preview").click()
    expect(details.get_by_role("cell", name="2", exact=True)).to_be_visible()
    shoot(page, "data")
    with page.expect_download() as downloaded:
        details.get_by_role("button", name="Download").click()
    assert downloaded.value.path().read_text() == "x,y\n1,2\n"

    # The same name again asks before it replaces anything.
    uploaded.write_text("other")
    browser_panel.get_by_label("Files to upload").set_input_files(uploaded)
    page.get_by_role("dialog", name="Replace it?").get_by_role("button", name="Cancel").click()
    assert (lab.data / "uploads" / "uploaded.csv").read_text() == "x,y\n1,2\n"

    browser_panel.get_by_role("button", name="uploaded.csv", exact=True).click()
    details.get_by_role("button", name="Rename").click()
    question = page.get_by_role("dialog", name="Rename")
    question.get_by_role("textbox").fill("renamed.csv")
    question.get_by_role("button", name="Rename").click()
    browser_panel.get_by_role("button", name="renamed.csv", exact=True).click()
    details = browser_panel.get_by_role("region", name="Details of renamed.csv")
    details.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(browser_panel.get_by_role("button", name="renamed.csv", exact=True)).to_have_count(0)
    expect(browser_panel.get_by_role("grid", name="Entries")).to_be_focused()
    assert list((lab.data / "uploads").iterdir()) == []

    slow_down(page)
    uploaded.write_bytes(bytes(20_000_000))
    browser_panel.get_by_label("Files to upload").set_input_files(uploaded)
    browser_panel.get_by_role("button", name="Cancel the upload of uploaded.csv").click()
    expect(page.locator(".Toastify").get_by_text("The upload was cancelled.")).to_be_visible()
    expect(browser_panel.get_by_role("group", name="Uploads")).to_have_text("")
    folder = lab.data / "uploads"
    until(page, lambda: not list(folder.iterdir()), "something is left of the cancelled upload")


def test_files_and_folders_are_dropped_with_progress_and_cancelled(
    lab: Lab, page: Page, browser_panel: Locator, shoot: Callable[[Page, str], Path], tmp_path: Path
) -> None:
    (lab.data / "drops").mkdir()
    browser_panel.get_by_role("button", name="Refresh").click()
    browser_panel.get_by_role("button", name="drops").click()
    expect(browser_panel.get_by_role("navigation", name="Path")).to_contain_text("drops")
    (tmp_path / "first.txt").write_text("dropped")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "leaf.txt").write_text("from a folder")
    rows = browser_panel.get_by_role("grid", name="Entries")
    drop(page, rows, tmp_path / "first.txt", tmp_path / "tree")
    expect(browser_panel.get_by_role("button", name="first.txt", exact=True)).to_be_visible()
    expect(browser_panel.get_by_role("button", name="tree", exact=True)).to_be_visible()
    assert (lab.data / "drops" / "first.txt").read_text() == "dropped"
    assert (lab.data / "drops" / "tree" / "deep" / "leaf.txt").read_text() == "from a folder"

    slow_down(page)
    for name in ("second.bin", "third.bin", "fourth.bin"):
        (tmp_path / name).write_bytes(bytes(20_000_000))
    drop(page, rows, *(tmp_path / f"{name}.bin" for name in ("second", "third", "fourth")))
    uploads = browser_panel.get_by_role("group", name="Uploads")
    progress = uploads.get_by_role("progressbar", name="Upload of second.bin")
    expect(progress).not_to_have_js_property("value", 0)
    expect(uploads).to_contain_text("2 more wait")
    shoot(page, "upload")
    uploads.get_by_role("button", name="Cancel the upload of second.bin").click()
    expect(uploads.get_by_role("progressbar", name="Upload of third.bin")).to_be_visible()
    uploads.get_by_role("button", name="Cancel all").click()
    expect(uploads).to_have_text("")
    until(
        page,
        lambda: {each.name for each in (lab.data / "drops").iterdir()} == {"first.txt", "tree"},
        "something is left of the cancelled uploads",
    )


def test_collection_is_made_and_paths_are_copied(
    lab: Lab, page: Page, browser_panel: Locator
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    browser_panel.get_by_role("button", name="uploads").click()
    browser_panel.get_by_role("button", name="New collection").click()
    question = page.get_by_role("dialog", name="New collection")
    question.get_by_role("textbox").fill(HOSTILE)
    question.get_by_role("textbox").press("Enter")
    made = browser_panel.get_by_role("button", name=HOSTILE, exact=True)
    made.click()
    expect(browser_panel.get_by_role("navigation", name="Path")).to_contain_text(HOSTILE)
    expect(browser_panel.locator(".nds-toolbar .nds-count")).to_have_text("0 entries")
    assert (lab.data / "uploads" / HOSTILE).is_dir()
    browser_panel.get_by_role("button", name="Up to the parent collection").click()
    named = page.get_by_role("button", name=HOSTILE, exact=True)
    row = browser_panel.get_by_role("row").filter(has=named)
    row.get_by_role("gridcell").last.click()
    details = browser_panel.get_by_role("region", name="Details of")
    details.get_by_role("button", name="Copy path").click()
    expect(page.get_by_text(f"Copied /uploads/{HOSTILE}.").first).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"/uploads/{HOSTILE}"
    details.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert (lab.data / "uploads" / HOSTILE).is_dir()
    details.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(made).to_have_count(0)
    assert not (lab.data / "uploads" / HOSTILE).exists()
    assert page.evaluate("window.hacked") is None


def test_hostile_names_stay_text_and_go_into_a_new_job(
    lab: Lab, page: Page, browser_panel: Locator
) -> None:
    browser_panel.get_by_role("button", name="small").click()
    browser_panel.get_by_role("button", name=f"{HOSTILE}.csv").click()
    details = browser_panel.get_by_role("region", name="Details of")
    details.get_by_role("button", name="Preview").click()
    expect(details.get_by_role("cell", name=HOSTILE)).to_be_visible()
    metadata = details.get_by_role("region", name="Metadata")
    expect(metadata.get_by_role("status")).to_have_text("none")
    for label, text in (("Attribute", HOSTILE), ("Value", "7"), ("Unit", "km")):
        metadata.get_by_role("textbox", name=label).fill(text)
    metadata.get_by_role("button", name="Add", exact=True).click()
    expect(metadata.get_by_role("row")).to_have_text(f"{HOSTILE}7km")
    path = urllib.parse.quote(f"/small/{HOSTILE}.csv")
    assert lab.server.ask("GET", f"nds/metadata{path}") == [
        {"name": HOSTILE, "value": "7", "unit": "km"}
    ]
    metadata.get_by_role("button", name=f"Remove {HOSTILE}").click()
    expect(metadata.get_by_role("status")).to_have_text("none")
    assert lab.server.ask("GET", f"nds/metadata{path}") == []
    details.get_by_role("button", name="Use in a new job").click()
    data = page.get_by_role("region", name="New job").get_by_label("Data, brought to /data")
    expect(data).to_have_value(f"/small/{HOSTILE}.csv")
    assert page.evaluate("window.hacked") is None


ODD = (
    "two  words.txt",
    "100%.txt",
    "a%2Fb.txt",
    "why?.txt",
    "part#2.txt",
    "new\nline.txt",
    "back\\slash.txt",
    'it\'s "quoted".txt',
    "semi;colon&amp;.txt",
    "\u202etxt.exe",
    "Größe 😀.txt",
    "-rf.txt",
    "~.txt",
)


def row_of(panel: Locator, path: str) -> Locator:
    """Return the row of a path, whatever characters that has."""
    escaped = "".join(char if char.isalnum() else f"\\{ord(char):x} " for char in path)
    return panel.locator(f'[data-path="{escaped}"]')


def test_odd_names_are_listed_previewed_downloaded_renamed_and_deleted(
    lab: Lab, page: Page, browser_panel: Locator
) -> None:
    folder = lab.data / "odd"
    folder.mkdir()
    for number, name in enumerate(ODD):
        (folder / name).write_text(f"this is number {number}.")
    browser_panel.get_by_role("button", name="Refresh").click()
    browser_panel.get_by_role("button", name="odd", exact=True).click()
    expect(browser_panel.locator("[data-path]")).to_have_count(len(ODD))
    details = browser_panel.locator(".nds-details")
    for number, name in enumerate(ODD):
        row_of(browser_panel, f"/odd/{name}").get_by_role("button").click()
        expect(details).to_have_attribute("aria-label", f"Details of {name}")
        details.get_by_role("button", name="Preview").click()
        expect(details.get_by_text(f"this is number {number}.")).to_be_visible()
        with page.expect_download() as downloaded:
            details.get_by_role("button", name="Download").click()
        assert downloaded.value.path().read_text() == f"this is number {number}."
        renamed = f"now {number} {name}".replace("\n", " ")
        details.get_by_role("button", name="Rename").click()
        question = page.get_by_role("dialog", name="Rename")
        question.get_by_role("textbox").fill(renamed)
        question.get_by_role("button", name="Rename").click()
        row_of(browser_panel, f"/odd/{renamed}").get_by_role("button").click()
        expect(details).to_have_attribute("aria-label", f"Details of {renamed}")
        details.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row_of(browser_panel, f"/odd/{renamed}")).to_have_count(0)
    assert list(folder.iterdir()) == []
