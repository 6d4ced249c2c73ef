"""Uploads that are cut off, refused, or meet what is there already."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from dev.jupyter import free_port
from tests.browser.conftest import NOT_OURS, Watch
from tests.browser.lab import TOKEN, Lab, started
from tests.browser.test_data_browser import drop, slow_down, until
from tests.browser.test_resilience import dismiss_complaints
from tests.byte_proxy import ByteProxy

pytestmark = [pytest.mark.browser, pytest.mark.engine]

LONG = 20_000_000
"""Bytes that do not all lie in buffers on the way when their connection is cut."""

BROKE_OFF = (
    "was not uploaded. The connection to the server broke off. A part of a file is never kept. "
    "Retry when the server answers again."
)


@pytest.fixture
def folder(lab: Lab) -> Path:
    made = lab.data / "trouble"
    made.mkdir(exist_ok=True)
    for each in made.iterdir():
        each.rmdir() if each.is_dir() else each.unlink()
    return made


@pytest.fixture
def wire(lab: Lab) -> Iterator[ByteProxy]:
    server = ("127.0.0.1", urlsplit(lab.server.url).port or 0)
    with ByteProxy(("127.0.0.1", free_port()), server).serving() as wire:
        yield wire


@pytest.fixture
def panel(
    lab: Lab, wire: ByteProxy, folder: Path, context: BrowserContext, watch: Watch
) -> Iterator[Locator]:
    # Chromium has many names for a connection that ended.
    also = "net::ERR_|status of 404"
    watch.expected = re.compile(f"{NOT_OURS.pattern}|{also}")
    page = context.new_page()
    watch.over(page)
    path = urlsplit(lab.server.url).path
    page.goto(f"http://127.0.0.1:{wire.address[1]}{path}lab?token={TOKEN}&reset")
    started(page)
    dismiss_complaints(page)
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-data')")
    panel = page.get_by_role("region", name="NDS data")
    panel.get_by_role("button", name=folder.name, exact=True).click()
    expect(panel.get_by_role("navigation", name="Path")).to_contain_text(folder.name)
    yield panel
    page.close()


@pytest.fixture
def uploads(panel: Locator) -> Locator:
    return panel.get_by_role("group", name="Uploads")


def written(folder: Path, size: int, *names: str) -> list[Path]:
    """Make files whose content tells them apart."""
    made = [folder / name for name in names]
    for number, file in enumerate(made):
        file.write_bytes(bytes([number]) * size)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def begun(panel: Locator, uploads: Locator, tmp_path: Path) -> list[Path]:
    """Begin to upload three files, over a slow line, until the first is seen to go."""
    files = written(tmp_path, LONG, "1st.bin") + written(tmp_path, 9, "2nd.bin", "3rd.bin")
    drop(panel.page, panel.get_by_role("grid", name="Entries"), *files)
    progress = uploads.get_by_role("progressbar", name="Upload of 1st.bin")
    expect(progress).not_to_have_js_property("value", 0)
    expect(uploads).to_contain_text("2 more wait")
    return files


def test_batch_that_loses_its_connection_is_told_and_goes_on_by_a_retry(
    wire: ByteProxy,
    panel: Locator,
    uploads: Locator,
    folder: Path,
    tmp_path: Path,
    shoot: Callable[[Page, str], Path],
) -> None:
    page = panel.page
    line = slow_down(page)
    files = begun(panel, uploads, tmp_path)
    wire.stop()
    expect(uploads.get_by_role("alert")).to_contain_text(f"1st.bin {BROKE_OFF}")
    expect(uploads).to_contain_text("2 more wait")
    shoot(page, "upload-cut-off")
    until(page, lambda: contents(folder) == {}, "a part of the file is left")
    retry = uploads.get_by_role("button", name="Retry the upload of 1st.bin")
    # Nobody answers yet; what was chosen is not lost by another try.
    retry.click()
    expect(uploads.get_by_role("alert")).to_contain_text(f"1st.bin {BROKE_OFF}")
    expect(uploads).to_contain_text("2 more wait")
    wire.start()
    line.detach()
    retry.focus()
    page.keyboard.press("Enter")
    expect(uploads).to_have_text("")
    expect(panel.get_by_role("grid", name="Entries")).to_be_focused()
    assert contents(folder) == {each.name: each.read_bytes() for each in files}


def test_upload_is_retried_when_the_server_is_back(
    lab: Lab, panel: Locator, uploads: Locator, folder: Path, tmp_path: Path
) -> None:
    line = slow_down(panel.page)
    files = begun(panel, uploads, tmp_path)
    try:
        lab.stop()
        expect(uploads.get_by_role("alert")).to_contain_text(f"1st.bin {BROKE_OFF}")
    finally:
        lab.start()
    # What a server could not take away at its end, the next one does.
    until(panel.page, lambda: contents(folder) == {}, "a part of the file is left")
    line.detach()
    uploads.get_by_role("button", name="Retry the upload of 1st.bin").click()
    expect(uploads).to_have_text("")
    assert contents(folder) == {each.name: each.read_bytes() for each in files}


def test_what_is_refused_is_told_by_name_and_stops_no_other(
    panel: Locator, uploads: Locator, folder: Path, tmp_path: Path
) -> None:
    page = panel.page
    (folder / "taken").mkdir()
    names = ("changed.bin", "empty.txt", "large.bin", "taken")
    changed, empty, _, taken = files = written(tmp_path, 2_000_000, *names)
    empty.write_bytes(b"")
    (folder / "large.bin").write_bytes(b"older")
    drop(page, panel.get_by_role("grid", name="Entries"), *files[1:], changed)
    # A large one is not sent only to be refused.
    question = page.get_by_role("dialog", name="Replace it?")
    expect(question).to_contain_text(f"/{folder.name}/large.bin is there already.")
    assert (folder / "empty.txt").read_bytes() == b""
    changed.unlink()
    question.get_by_role("button", name="Cancel").click()
    failures = uploads.get_by_role("alert")
    expect(failures).to_contain_text(
        f"taken was not uploaded. /{folder.name}/taken is a collection; an object can't take its"
    )
    expect(failures).to_contain_text("changed.bin was not uploaded. It was changed or removed on")
    expect(failures).to_contain_text("2 failed")
    (folder / "taken").rmdir()
    uploads.get_by_role("button", name="Retry the upload of taken").click()
    expect(failures).not_to_contain_text("taken was")
    uploads.get_by_role("button", name="Give the upload of changed.bin up").click()
    expect(uploads).to_have_text("")
    assert contents(folder) == {
        "empty.txt": b"",
        "large.bin": b"older",
        "taken": taken.read_bytes(),
    }


def test_collection_that_was_removed_meanwhile_is_named(
    panel: Locator, uploads: Locator, folder: Path, tmp_path: Path
) -> None:
    folder.rmdir()
    small = tmp_path / "small.txt"
    small.write_text("small")
    panel.get_by_label("Files to upload").set_input_files(small)
    expect(uploads.get_by_role("alert")).to_contain_text(
        f"small.txt was not uploaded. There is no /{folder.name} in the data root. Make that "
        "collection again, then retry."
    )
    folder.mkdir()
    uploads.get_by_role("button", name="Retry the upload of small.txt").click()
    expect(panel.get_by_role("button", name="small.txt", exact=True)).to_be_visible()
    expect(uploads).to_have_text("")
    assert contents(folder) == {"small.txt": b"small"}
