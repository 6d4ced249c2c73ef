"""The data browser on an iRODS zone as the data root."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from dev.engine_api import Endpoint
from tests.browser.conftest import NOT_OURS, Watch
from tests.browser.lab import TOKEN, Lab, running_lab, started
from tests.irods_zone.zone import Zone

pytestmark = [pytest.mark.browser, pytest.mark.engine]

MANY = 100_000
HOSTILE = "<img src=x onerror=window.hacked=1>"
USER = "ada"


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    with Zone(tmp_path_factory.mktemp("zone") / "zone") as zone:
        home = zone.home(USER)
        with zone.session(USER) as session:
            for name in ("big", "work"):
                session.collections.create(f"{home}/{name}")
        zone.fill(f"{home}/big", [f"object-{number:06d}" for number in range(MANY)], b"content")
        yield zone


@pytest.fixture(scope="module")
def zone_lab(
    docker_engine: Endpoint, zone: Zone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("zone-lab")
    account = {"IRODS_ENVIRONMENT_FILE": os.fspath(zone.environment_file(USER))}
    with running_lab(docker_engine, folder, "irods://", account) as running:
        yield running


@pytest.fixture
def page(zone_lab: Lab, context: BrowserContext, watch: Watch) -> Iterator[Page]:
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    watch.over(page)
    page.goto(f"{zone_lab.server.url}lab?token={TOKEN}&reset")
    started(page)
    page.evaluate("jupyterapp.commands.execute('nds:show-nds-data')")
    yield page
    page.close()


@pytest.fixture
def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="NDS data")


def number_of(row: Locator) -> int:
    return int(str(row.get_attribute("data-path"))[-6:])


def test_collection_of_100_000_objects_is_opened_searched_and_scrolled(
    page: Page, panel: Locator
) -> None:
    panel.get_by_role("button", name="big", exact=True).click()
    rows = panel.get_by_role("grid", name="Entries")
    expect(rows).to_contain_text("object-000000")
    assert rows.locator(".nds-row").count() < 100
    rows.hover()
    # Pages are loaded as they come into view.
    end = time.monotonic() + 60
    while (at := number_of(rows.locator(".nds-row").last)) < 3000:
        assert time.monotonic() < end, f"scrolled to {at} only"
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(50)
    panel.get_by_role("searchbox", name="Search names").fill("09999")
    expect(rows.locator(".nds-row")).to_have_count(11)


def test_object_is_uploaded_described_replaced_renamed_and_deleted(
    zone: Zone, page: Page, panel: Locator, tmp_path: Path, shoot: Callable[[Page, str], Path]
) -> None:
    panel.get_by_role("button", name="work", exact=True).click()
    expect(panel.get_by_role("navigation", name="Path")).to_contain_text("work")
    file = tmp_path / f"{HOSTILE}.csv"
    file.write_text("name,value\nx,1\n")
    panel.get_by_label("Files to upload").set_input_files(file)
    panel.get_by_role("button", name=f"{HOSTILE}.csv", exact=True).click()
    details = panel.get_by_role("region", name="Details of")
    expect(details).to_contain_text("sha2:")
    expect(details.get_by_role("region", name="Replicas").get_by_role("row")).to_have_count(1)
    expect(details.get_by_role("region", name="Replicas")).to_contain_text("good")
    details.get_by_role("button", name="Preview").click()
    expect(details.get_by_role("cell", name="x", exact=True)).to_be_visible()
    metadata = details.get_by_role("region", name="Metadata")
    expect(metadata.get_by_role("status")).to_have_text("none")
    for label, text in (("Attribute", "temperature"), ("Value", HOSTILE), ("Unit", "K")):
        metadata.get_by_role("textbox", name=label).fill(text)
    metadata.get_by_role("button", name="Add", exact=True).click()
    expect(metadata.get_by_role("row")).to_have_text(f"temperature{HOSTILE}K")
    path = f"{zone.home(USER)}/work/{HOSTILE}.csv"
    with zone.session(USER) as session:
        (avu,) = session.data_objects.get(path).metadata.items()
        assert (avu.name, avu.value, avu.units) == ("temperature", HOSTILE, "K")
    shoot(page, "zone")
    metadata.get_by_role("button", name="Remove temperature").click()
    expect(metadata.get_by_role("status")).to_have_text("none")

    file.write_text("name,value\ny,2\n")
    panel.get_by_label("Files to upload").set_input_files(file)
    question = page.get_by_role("dialog", name="Replace it?")
    question.get_by_role("button", name="Replace").click()
    expect(panel.get_by_role("group", name="Uploads")).to_have_text("")
    panel.get_by_role("button", name=f"{HOSTILE}.csv", exact=True).click()
    details.get_by_role("button", name="Preview").click()
    expect(details.get_by_role("cell", name="y", exact=True)).to_be_visible()
    with page.expect_download() as downloaded:
        details.get_by_role("button", name="Download").click()
    assert downloaded.value.path().read_text() == "name,value\ny,2\n"

    details.get_by_role("button", name="Rename").click()
    question = page.get_by_role("dialog", name="Rename")
    question.get_by_role("textbox").fill("renamed.csv")
    question.get_by_role("button", name="Rename").click()
    panel.get_by_role("button", name="renamed.csv", exact=True).click()
    details = panel.get_by_role("region", name="Details of renamed.csv")
    details.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(panel.get_by_role("button", name="renamed.csv", exact=True)).to_have_count(0)
    with zone.session(USER) as session:
        assert session.collections.get(f"{zone.home(USER)}/work").data_objects == []
    assert page.evaluate("window.hacked") is None


def test_upload_into_a_collection_of_others_says_who_can_help(
    zone: Zone, page: Page, panel: Locator, watch: Watch, tmp_path: Path
) -> None:
    watch.expected = re.compile(f"{NOT_OURS.pattern}|status of 403")
    count = panel.locator(".nds-toolbar .nds-count")
    panel.get_by_role("button", name="Up to the parent collection").click()
    expect(panel.get_by_role("button", name=USER, exact=True)).to_be_visible()
    before = count.inner_text()
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for file in files:
        file.write_text("not for here")
    panel.get_by_label("Files to upload").set_input_files(files)
    uploads = panel.get_by_role("group", name="Uploads")
    home = zone.home(USER).rpartition("/")[0]
    for file in files:
        expect(uploads).to_contain_text(
            f"{file.name} was not uploaded. {home}/{file.name}: the account of the data root has "
            "no permission for that."
        )
    uploads.get_by_role("button", name="Give up all that failed").click()
    expect(uploads).to_have_text("")
    expect(count).to_have_text(before)


def test_path_of_the_zone_goes_into_a_job_and_its_results_come_back(
    zone: Zone, zone_lab: Lab, page: Page, panel: Locator
) -> None:
    source = f"{zone.home(USER)}/big/object-000001"
    panel.get_by_role("button", name="big", exact=True).click()
    panel.get_by_role("button", name="object-000001", exact=True).click()
    details = panel.get_by_role("region", name="Details of object-000001")
    details.get_by_role("button", name="Use in a new job").click()
    form = page.get_by_role("region", name="New job")
    expect(form.get_by_label("Data, brought to /data")).to_have_value(source)
    script = "open('/results/n', 'w').write(str(len(open('/data/object-000001').read())))"
    form.get_by_label("Script", exact=True).fill(script)
    form.get_by_label("Output", exact=True).fill(f"{zone.home(USER)}/work/run")
    form.get_by_role("button", name="Run").click()
    job = page.get_by_role("region", name="NDS job", exact=True)
    expect(job.get_by_role("status").filter(has_text="completed")).to_be_visible()
    result = f"{zone.home(USER)}/work/run/n"
    with zone.session(USER) as session, session.data_objects.open(result, "r") as file:
        assert file.read() == b"7"
