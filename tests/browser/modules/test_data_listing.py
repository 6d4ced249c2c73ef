"""The data browser with a hundred thousand entries: its keys, and its order."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

MANY = 100_000

OPEN = """async (many) => {
  const entry = (path, kind, n) => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    path,
    kind,
    size: kind === "collection" ? null : (n * 7919) % 1000,
    modified: new Date(Date.UTC(2026, 0, 1) + ((n * 104_729) % many) * 60_000).toISOString(),
  });
  const object = (n) => entry(`/home/big/entry-${String(n).padStart(6, "0")}`, "object", n);
  const collections = {
    "/home": ["big", "empty", "small"].map((name, n) => entry(`/home/${name}`, "collection", n)),
    "/home/big": Array.from({ length: many }, (_, n) => object(n)),
    "/home/empty": [],
    "/home/small": [
      entry("/home/small/deep", "collection", 1),
      entry("/home/small/a.txt", "object", 2),
    ],
  };
  const answer = async (url) => {
    const { pathname, searchParams } = new URL(url);
    const all = pathname === "/nds/list_data" && collections[searchParams.get("path") ?? "/home"];
    if (!all) return new Response("{}", { status: 404 });
    const from = Number(searchParams.get("cursor") ?? 0);
    const to = from + Number(searchParams.get("limit"));
    searchParams.set("cursor", String(to));
    const next = `<${pathname}?${searchParams}>; rel="next"`;
    const headers = to < all.length ? { Link: next } : {};
    return new Response(JSON.stringify(all.slice(from, to)), { headers });
  };
  const { RestApi } = await import("/rest_api.js");
  const { DataBrowser } = await import("/data_browser.js");
  const url = `${location.origin}/nds`;
  const api = new RestApi({ url, isDirect: false, headers: () => ({}), fetch: answer });
  const nothing = () => {};
  const host = { openJob: nothing, openSubmit: nothing, notify: nothing, insertInCell: null };
  window.browser = new DataBrowser({ api }, host, "/home");
  document.getElementById("place").append(window.browser.element);
}"""

ACTIVE = """() => {
  const grid = document.querySelector("[role=grid]");
  const row = document.getElementById(grid.getAttribute("aria-activedescendant"));
  return row?.getAttribute("data-path") ?? null;
}"""

SORT = """async (order) => {
  const { nextTask } = await import("/time_slicing.js");
  const { _listing: listing } = window.browser;
  while (!listing.complete) await listing.loadMore();
  let sorted = false;
  const done = listing.sort(order, true).then(() => (sorted = true));
  let others = 0;
  while (!sorted) {
    await nextTask();
    others += 1;
  }
  await done;
  const value = (entry) => entry[order];
  const right = listing.entries.every((entry, at, all) => {
    if (!at) return true;
    const [before, now] = [value(all[at - 1]), value(entry)];
    return before > now || (before === now && all[at - 1].name < entry.name);
  });
  return { others, right, count: listing.entries.length };
}"""

LAWFUL = """async () => {
  const { sortInSlices } = await import("/time_slicing.js");
  let seed = 1;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const wrong = [];
  for (const length of [0, 1, 2, 2047, 2048, 2049, 4096, 5000, 10_241]) {
    const items = Array.from({ length }, (_, at) => ({ by: random(50), at }));
    const compare = (a, b) => a.by - b.by;
    const ours = await sortInSlices(items, compare);
    const theirs = [...items].sort(compare);
    if (ours.length !== length || ours.some((item, at) => item !== theirs[at])) wrong.push(length);
  }
  return wrong;
}"""


@pytest.fixture
def page(bare_page: Page) -> Page:
    bare_page.evaluate(OPEN, MANY)
    expect(bare_page.get_by_role("button", name="small")).to_be_visible()
    return bare_page


@pytest.fixture
def grid(page: Page) -> Locator:
    return page.get_by_role("grid", name="Entries")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def active(page: Page, path: str) -> None:
    """Wait until the row of a path is the one that the grid points at, seen and selected."""
    page.wait_for_function(f"path => ({ACTIVE})() === path", arg=path)
    row = page.locator(f'.nds-row[data-path="{path}"]')
    expect(row).to_have_attribute("aria-selected", "true")
    expect(row).to_be_in_viewport()
    expect(page.locator('.nds-row[aria-selected="true"]')).to_have_count(1)


def test_keys_reach_the_grid_and_go_through_its_rows(page: Page, grid: Locator) -> None:
    page.get_by_role("button", name="Refresh").focus()
    for _ in range(4):
        # The path's steps lie between.
        press(page, "Tab")
        if grid.evaluate("grid => grid === document.activeElement"):
            break
    active(page, "/home/big")
    press(page, "ArrowDown", "ArrowDown")
    active(page, "/home/small")
    press(page, "ArrowDown")
    active(page, "/home/small")
    press(page, "Home")
    active(page, "/home/big")
    press(page, "Enter")
    active(page, "/home/big/entry-000000")
    expect(grid).to_be_focused()
    press(page, "PageDown")
    first = page.evaluate(ACTIVE)
    assert first > "/home/big/entry-000005"
    press(page, "PageUp")
    active(page, "/home/big/entry-000000")
    press(page, "End")
    # Of what is loaded; more comes when the end is near.
    page.wait_for_function(f"({ACTIVE})() >= '/home/big/entry-000199'")
    expect(grid).to_have_attribute("aria-rowcount", "-1")


def test_who_goes_up_goes_on_where_they_were(page: Page, grid: Locator) -> None:
    grid.focus()
    press(page, "End", "Enter")
    active(page, "/home/small/deep")
    press(page, "Backspace")
    active(page, "/home/small")
    press(page, "ArrowUp", "Enter")
    # Nothing is in it, and the way back is the same.
    expect(page.locator(".nds-toolbar .nds-count")).to_have_text("0 entries")
    assert page.evaluate(ACTIVE) is None
    press(page, "Backspace")
    active(page, "/home/empty")
    expect(grid).to_be_focused()


def test_a_click_gives_the_keys_to_the_grid(page: Page, grid: Locator) -> None:
    page.get_by_role("button", name="small").click()
    expect(page.get_by_role("button", name="a.txt")).to_be_visible()
    expect(grid).to_be_focused()
    page.get_by_role("row").filter(has_text="a.txt").get_by_role("gridcell").last.click()
    active(page, "/home/small/a.txt")
    expect(page.get_by_role("region", name="Details of a.txt")).to_be_visible()
    press(page, "ArrowUp")
    active(page, "/home/small/deep")


def test_the_row_that_keys_act_on_stays_the_same_entry_in_another_order(
    page: Page, grid: Locator
) -> None:
    page.get_by_role("button", name="small").click()
    grid.focus()
    press(page, "End")
    active(page, "/home/small/a.txt")
    page.get_by_role("button", name="Size").click()
    expect(page.locator('[aria-sort="ascending"]')).to_have_text("Size")
    active(page, "/home/small/a.txt")


@pytest.mark.parametrize("order", ["size", "modified"])
def test_many_entries_are_sorted_while_the_page_goes_on(page: Page, order: str) -> None:
    page.get_by_role("button", name="big").click()
    expect(page.locator(".nds-row").first).to_contain_text("entry-000000")
    found = page.evaluate(SORT, order)
    assert found["right"]
    assert found["count"] == MANY
    assert found["others"] > 4, "the page waited until all was sorted"


def test_what_is_sorted_in_turns_is_as_the_browser_sorts_it(page: Page) -> None:
    assert page.evaluate(LAWFUL) == []
